-- Gives leases back at once, so that another engine need not wait until they are out.
-- KEYS: engines (sorted set)
-- ARGV: the engine's id, why, what the keys of leases and of stamps begin with, then shard and lease, for each
redis.call('ZREM', KEYS[1], ARGV[1])
local given = 0
for place = 5, #ARGV, 2 do
  local shard = ARGV[place]
  if redis.call('GET', ARGV[3] .. shard) == ARGV[place + 1] then
    redis.call('DEL', ARGV[3] .. shard)
    redis.call('HSET', ARGV[4] .. shard, 'ended', ARGV[2])
    given = given + 1
  end
end
return given
