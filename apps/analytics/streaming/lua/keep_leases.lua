-- One engine says that it lives, renews the leases it has, gives up what is above its share, takes what is free.
-- KEYS: engines (sorted set: id -> when it was seen last, ms), the number of the last lease, how often all were restarted
-- ARGV: the engine's id, ms that a lease lasts without renewal, ms after which a silent engine is forgotten, shards,
--       what the keys of leases and of stamps begin with (the shard's number follows)
-- A lease holds "id:number", and no two leases the same number: who had a shard before, and has it again, cannot take
-- what it computed under the first lease for something of the second.
-- Answers with: now in microseconds, engines alive, this engine's share, restarts,
--   {shard, lease, …} kept, {shard, lease, last published at, by, how that ended, …} taken
local engines, id = KEYS[1], ARGV[1]
local lease_ms, shards = tonumber(ARGV[2]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('ZADD', engines, now_ms, id)
redis.call('ZREMRANGEBYSCORE', engines, '-inf', now_ms - ARGV[3])
local alive = redis.call('ZRANGEBYSCORE', engines, '(' .. string.format('%.0f', now_ms - lease_ms), '+inf')
table.sort(alive)
local share = math.floor(shards / #alive)
for rank, other in ipairs(alive) do
  if other == id and rank <= shards % #alive then
    share = share + 1
  end
end

local kept, taken, free, held = {}, {}, {}, 0
for shard = 0, shards - 1 do
  local key = ARGV[5] .. shard
  local lease = redis.call('GET', key)
  if not lease then
    free[#free + 1] = shard
  elseif string.sub(lease, 1, #id + 1) == id .. ':' then
    if held < share then
      redis.call('PEXPIRE', key, lease_ms)
      kept[#kept + 1], kept[#kept + 2] = shard, lease
      held = held + 1
    else
      redis.call('DEL', key)
      redis.call('HSET', ARGV[6] .. shard, 'ended', 'handed over')
    end
  end
end
for _, shard in ipairs(free) do
  if held == share then
    break
  end
  local lease = id .. ':' .. string.format('%.0f', redis.call('INCR', KEYS[2]))
  redis.call('SET', ARGV[5] .. shard, lease, 'PX', lease_ms)
  local last = redis.call('HMGET', ARGV[6] .. shard, 'at', 'by', 'ended')
  for _, value in ipairs({shard, lease, last[1] or '', last[2] or '', last[3] or ''}) do
    taken[#taken + 1] = value
  end
  held = held + 1
end
local now_us = clock[1] .. string.format('%06d', clock[2])
return {now_us, #alive, share, redis.call('GET', KEYS[3]) or '0', kept, taken}
