SELECT queue, priority, state, n FROM queue_count;
