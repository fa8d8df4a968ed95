-- Lets a lock go that is still one's own, and tells who waits. KEYS: lock. ARGV: own lock, channel.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], 'failed')
end
