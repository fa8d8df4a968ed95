-- KEYS: lock. ARGV: own lock, lock_ms. Returns 0 where the lock is another's, or none.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
