-- Leadership: a row for each scope, of which most who ask only read. A renewal changes no key, so it passes the share lock of
-- lead_in, under which the leader's own writes run; whoever takes the leadership over needs the row for itself, and
-- leaves it to a later try when such a write is under way.

-- Renews the worker's leadership of a scope for `ttl` microseconds, or takes it when it is free. current: the worker is.
CREATE OR REPLACE FUNCTION @schema@.lead(of_scope text, worker_id text, of_incarnation bigint, ttl bigint,
                                         OUT current boolean, OUT leads boolean, OUT holder text,
                                         OUT incarnation bigint, OUT epoch bigint, OUT left_us bigint)
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := clock();
  l leader;
BEGIN
  current := EXISTS (SELECT FROM worker AS w
                     WHERE w.incarnation = of_incarnation AND w.id = worker_id AND w.state <> 2 AND NOT w.superseded);
  SELECT * INTO l FROM leader AS r WHERE r.scope = of_scope;
  IF current AND l.incarnation = of_incarnation AND l.expires_at > t THEN
    UPDATE leader AS r SET expires_at = t + ttl * interval '1 microsecond'
    WHERE r.scope = of_scope AND r.epoch = l.epoch AND r.expires_at > t RETURNING * INTO l;
  ELSIF current AND (l.scope IS NULL OR l.expires_at <= t) THEN
    IF l.scope IS NULL THEN
      INSERT INTO leader (scope, incarnation, epoch, expires_at) VALUES (of_scope, 0, 0, '-infinity') ON CONFLICT DO NOTHING;
    END IF;
    PERFORM FROM leader AS r WHERE r.scope = of_scope AND r.expires_at <= t FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
      UPDATE leader AS r SET incarnation = of_incarnation, epoch = r.epoch + 1, expires_at = t + ttl * interval '1 microsecond'
      WHERE r.scope = of_scope RETURNING * INTO l;
    ELSE
      SELECT * INTO l FROM leader AS r WHERE r.scope = of_scope;
    END IF;
  END IF;
  leads := current AND coalesce(l.incarnation = of_incarnation AND l.expires_at > t, false);
  epoch := coalesce(l.epoch, 0);
  IF l.expires_at > t THEN
    incarnation := l.incarnation;
    holder := (SELECT w.id FROM worker AS w WHERE w.incarnation = l.incarnation);
    left_us := extract(epoch FROM l.expires_at - t) * 1000000;
  END IF;
END $$;

CREATE OR REPLACE FUNCTION @schema@.resign(of_scope text, of_incarnation bigint) RETURNS void
LANGUAGE sql SET search_path = @schema@, pg_catalog AS $$
  UPDATE leader SET expires_at = least(expires_at, clock()) WHERE scope = of_scope AND incarnation = of_incarnation
$$;

-- First in a transaction that a worker makes as the leader: refuses it (MR003) when another leads or nobody does. Until its
-- end nobody can take the leadership.
CREATE OR REPLACE FUNCTION @schema@.lead_in(of_scope text, worker_id text, of_incarnation bigint, of_epoch bigint)
RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  PERFORM FROM leader AS l
  WHERE l.scope = of_scope AND l.incarnation = of_incarnation AND l.epoch = of_epoch AND l.expires_at > clock()
    AND EXISTS (SELECT FROM worker AS w WHERE w.incarnation = l.incarnation AND w.id = worker_id)
  FOR KEY SHARE OF l;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% no longer leads ''%'' in epoch %', worker_id, of_scope, of_epoch USING ERRCODE = 'MR003';
  END IF;
END $$;
