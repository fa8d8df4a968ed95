-- Messages: of each its topic's next seq, its place in the stream and its way to the hubs, all in one step.
-- KEYS: the fence (a key, or empty for none), the stamp (a hash, or empty for none)
-- ARGV: what the fence must hold, an epoch should one be needed, messages kept, seconds the stream and the head are
--       kept, what the keys of heads (hashes of epoch and seq) and of streams begin with (the topic follows), and the
--       messages, three lines each, with their ends: topic, text before seq, text after epoch
-- Answers with the seqs; with nothing where the fence is not what it must be, and then nothing was published.
-- The messages are one argument, and the keys are made here, because the client takes 10 µs for each argument: 100 ms in
-- a profile of 2,000 messages with five each. A cluster of Redis would want the keys declared.
local fence, stamp = KEYS[1], KEYS[2]
if fence ~= '' and redis.call('GET', fence) ~= ARGV[1] then
  return {}
end
local new_epoch, kept = ARGV[2], ARGV[3]
local stream_seconds, head_seconds = tonumber(ARGV[4]), tonumber(ARGV[5])

-- To the second: a topic of four messages a second would write as many EXPIRE to the append-only file, which takes a
-- third of the whole time.
local function prolong(stream, head)
  if redis.call('TTL', stream) < stream_seconds then
    redis.call('EXPIRE', stream, stream_seconds)
    redis.call('EXPIRE', head, head_seconds)
  end
end

local seqs = {}
local place = 1
local function next_line()
  local from, to = place, string.find(ARGV[8], '\n', place, true)
  place = to + 1
  return string.sub(ARGV[8], from, to - 1)
end

while place <= #ARGV[8] do
  local topic, before, after = next_line(), next_line(), next_line()
  local head, stream = ARGV[6] .. topic, ARGV[7] .. topic
  local seq = redis.call('HINCRBY', head, 'seq', 1)
  local epoch = redis.call('HGET', head, 'epoch')
  if not epoch then
    epoch = new_epoch
    redis.call('HSET', head, 'epoch', epoch)
  end
  if seq == 1 then
    redis.call('DEL', stream) -- what a lost head left behind belongs to another epoch
  end
  local text = before .. string.format('%.0f', seq) .. ',"epoch":"' .. epoch .. '"' .. after
  redis.call('XADD', stream, 'MAXLEN', '~', kept, string.format('%.0f-0', seq), 'text', text)
  prolong(stream, head)
  redis.call('PUBLISH', topic, text)
  seqs[#seqs + 1] = seq
end
if stamp ~= '' then
  local now = redis.call('TIME')
  redis.call('HSET', stamp, 'at', now[1] .. string.format('%06d', now[2]), 'by', ARGV[1], 'ended', '')
  redis.call('EXPIRE', stamp, head_seconds)
end
return seqs
