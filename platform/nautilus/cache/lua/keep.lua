-- Keeps an answer, unless the cache was cleared while it was computed; lets the lock go and tells who waits.
-- KEYS: entry, lock, mode, generation, sizes.
-- ARGV: own lock, generation, ttl_ms, body, most bytes of all answers, ms for which a refusal is remembered, channel.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local minute = 60000

local function write(body, ttl_ms, keep_ms)
  local old = redis.call('HMGET', KEYS[1], 'size', 'bucket')
  if old[1] then redis.call('HINCRBY', KEYS[5], old[2], -old[1]) end
  redis.call('DEL', KEYS[1])
  local size, bucket = #body + #KEYS[1], math.floor((now + keep_ms) / minute) + 1
  redis.call('HSET', KEYS[1], 'at', now, 'ttl', ttl_ms, 'body', body, 'size', size, 'bucket', bucket)
  redis.call('PEXPIRE', KEYS[1], keep_ms)
  redis.call('HINCRBY', KEYS[5], bucket, size)
end

-- Bytes that are kept, by the minute in which they expire.
local function kept_bytes()
  local sizes, total = redis.call('HGETALL', KEYS[5]), 0
  for place = 1, #sizes, 2 do
    if tonumber(sizes[place]) * minute < now then
      redis.call('HDEL', KEYS[5], sizes[place])
    else
      total = total + tonumber(sizes[place + 1])
    end
  end
  return total
end

local outcome = 'kept'
local ttl, body = tonumber(ARGV[3]), ARGV[4]
if (redis.call('GET', KEYS[4]) or '0') ~= ARGV[2] then
  outcome = 'cleared'
elseif body == '' then
  outcome = 'too_large'
  write('', ttl, ttl)
elseif kept_bytes() + #body > tonumber(ARGV[5]) then
  outcome = 'full'
  write('', tonumber(ARGV[6]), tonumber(ARGV[6]))
else
  local factor = tonumber(redis.call('GET', KEYS[3]) or '1')
  -- Past the end of the aggressive mode an answer older than its ttl is none.
  local keep = factor > 1 and math.min(2 * ttl * factor, math.max(ttl, redis.call('PTTL', KEYS[3]))) or ttl
  write(body, ttl, math.floor(keep))
end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
redis.call('PUBLISH', ARGV[7], outcome)
return outcome
