SELECT EXISTS (SELECT FROM @schema@.job AS j JOIN @schema@.worker AS w ON w.incarnation = j.incarnation
               WHERE j.id = $3 AND j.attempt = $4 AND j.token = $5 AND j.state = 3 AND w.incarnation = $2 AND w.id = $1
                 AND w.state <> 2 AND NOT w.superseded)
