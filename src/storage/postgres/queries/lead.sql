SELECT current, leads, holder, incarnation, epoch, left_us FROM @schema@.lead($1, $2, $3, $4)
