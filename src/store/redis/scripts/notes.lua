-- All that was noted.
-- KEYS: audit
return redis.call('HGETALL', KEYS[1])
