-- Looks for an answer, and says what to do where there is none: one step, so that one of many leads.
-- KEYS: entry, lock, mode, generation, statistics. ARGV: token, lock_ms, "1" where the caller has waited.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local generation = redis.call('GET', KEYS[4]) or '0'
local factor = tonumber(redis.call('GET', KEYS[3]) or '1')

local function take_lock()
  local held = redis.call('GET', KEYS[2])
  if held == ARGV[1] .. ':' .. generation then return true end -- asked again, as the first answer was lost
  -- What was begun before the last clearing will not be kept: nobody waits for it.
  if held and string.match(held, ':(%d+)$') == generation then return false end
  redis.call('SET', KEYS[2], ARGV[1] .. ':' .. generation, 'PX', ARGV[2])
  return true
end

local function count(name)
  redis.call('HINCRBY', KEYS[5], name, 1)
end

local entry = redis.call('HMGET', KEYS[1], 'at', 'ttl', 'body')
if entry[1] then
  local age, ttl = now - tonumber(entry[1]), tonumber(entry[2]) * factor
  if age < ttl and entry[3] == '' then
    count('misses')
    return {'alone', generation, 0, 0, ''}
  end
  if age < ttl then
    count('hits')
    if ARGV[3] == '1' then count('waits') end
    return {'hit', generation, age, ttl - age, entry[3]}
  end
  if factor > 1 and age < 2 * ttl and entry[3] ~= '' then
    count('hits')
    count('stale')
    return {take_lock() and 'revalidate' or 'stale', generation, age, ttl - age, entry[3]}
  end
end
if take_lock() then
  count('misses')
  return {'lead', generation, 0, 0, ''}
end
return {'wait', generation, 0, redis.call('PTTL', KEYS[2]), ''}
