SELECT pg_notify('@schema@_work', '')
