-- Quotes in, the newest of each symbol kept: one step for all, so that no writer undoes what another wrote.
-- KEYS: quotes (hash), state (hash), quotes accepted by second (hash, a ring)
-- ARGV: lines of "symbol|timestamp_us|price", source, slots of the ring, seconds that the ring is kept
-- Answers with how many were accepted and how many were not newer than what was there.
local quotes, state, ring = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now_us = clock[1] .. string.format('%06d', clock[2])

local symbols, quoted, timestamps, rows = {}, {}, {}, 0
for symbol, quote, timestamp in string.gmatch(ARGV[1], '([^|\n]+)|((%d+)|[^\n]+)') do
  rows = rows + 1
  symbols[rows], quoted[rows], timestamps[rows] = symbol, quote, timestamp
end

-- Lua's numbers are doubles: whole microseconds are exact until the year 2255.
local newest = {}
for row, stored in ipairs(redis.call('HMGET', quotes, unpack(symbols))) do
  newest[symbols[row]] = stored and tonumber(string.match(stored, '%d+')) or 0
end

local written, place, accepted, newest_us = {}, {}, 0, 0
for row = 1, rows do
  local symbol, timestamp = symbols[row], tonumber(timestamps[row])
  if timestamp > newest[symbol] then
    local at = place[symbol] or #written + 1
    newest[symbol], place[symbol] = timestamp, at
    written[at], written[at + 1] = symbol, quoted[row] .. '|' .. now_us
    newest_us = math.max(newest_us, timestamp)
    accepted = accepted + 1
  end
end
if accepted == 0 then
  return {0, rows}
end
redis.call('HSET', quotes, unpack(written))
-- A hash of up to 512 short values is a list, searched from its start: 500 symbols cost 10 times as much. A long value
-- makes it a table, which it stays until the server starts anew.
if redis.call('OBJECT', 'ENCODING', quotes) == 'listpack' then
  redis.call('HSET', quotes, '', string.rep('-', 1024))
  redis.call('HDEL', quotes, '')
end

-- A source's clock may be ahead; no quote is of later than it came.
newest_us = math.min(newest_us, tonumber(now_us))
newest_us = math.max(newest_us, tonumber(redis.call('HGET', state, 'newest_us') or 0))
-- From the clock and not from 1: a reader must not take the numbers after a wipe for those that it has seen.
redis.call('HSETNX', state, 'version', now_us)
redis.call('HINCRBY', state, 'version', 1)
redis.call('HSET', state, 'source', ARGV[2], 'received_us', now_us, 'newest_us', string.format('%.0f', newest_us))

local slot, counted = clock[1] % ARGV[3], accepted
local second, count = string.match(redis.call('HGET', ring, slot) or '', '^(%d+)|(%d+)$')
if second == clock[1] then
  counted = counted + count
end
redis.call('HSET', ring, slot, clock[1] .. '|' .. string.format('%.0f', counted))
redis.call('EXPIRE', ring, ARGV[4])
return {accepted, rows - accepted}
