SELECT set_config('synchronous_commit', 'off', true), @schema@.wake_idle($1, $2)
