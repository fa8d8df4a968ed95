-- Messages: of each its topic's next seq, its place in the stream and its way to the hubs, all in one step.
-- KEYS: the fence (a key, or empty for none), the stamp (a hash, or empty for none), the note (a key, or empty)
-- ARGV: what the fence must hold, an epoch should one be needed, messages kept, seconds the stream and the head are
--       kept, what the keys of heads (hashes of epoch and seq) and of streams begin with (the topic follows), the
--       messages, three lines each, with their ends: topic, text before seq, text after epoch; then seconds that the
--       note is kept, and what was lost, two lines each, with their ends: topic, how many of its messages
-- Answers with the seqs; with nothing where the fence is not what it must be, and then nothing was published.
-- A note keeps the answer, so that a step whose answer was lost can be sent again: it is carried out once. Its messages
-- do not fail together: 0 stands for the seq of one that its topic's keys did not take.
-- The messages are one argument, and the keys are made here, because the client takes 10 µs for each argument: 100 ms in
-- a profile of 2,000 messages with five each. A cluster of Redis would want the keys declared.
local fence, stamp, note = KEYS[1], KEYS[2], KEYS[3]
if fence ~= '' and redis.call('GET', fence) ~= ARGV[1] then
  return {}
end
local seqs = {}
local earlier = note ~= '' and redis.call('GET', note)
if earlier then
  for seq in string.gmatch(earlier, '%S+') do
    seqs[#seqs + 1] = tonumber(seq)
  end
  return seqs
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

local function line(argument, place)
  local to = string.find(argument, '\n', place, true)
  return string.sub(argument, place, to - 1), to + 1
end

-- What its topic's keys do not take fails alone: for ever, and else all that wait behind it would. What the server does
-- not take at the time (it is full, or a replica) fails for all of them, the note included, and nothing was written.
local function alone(act, ...)
  if note == '' then
    return act(...)
  end
  local done, seq = pcall(act, ...)
  return done and seq or 0
end

-- Lost messages take their seqs with them: a reader sees the gap. Who listens is told now, as no message may follow.
local function lose(topic, count)
  local head = ARGV[6] .. topic
  redis.call('HSETNX', head, 'epoch', new_epoch)
  if redis.call('HINCRBY', head, 'seq', count) == tonumber(count) then
    redis.call('DEL', ARGV[7] .. topic) -- as below
  end
  redis.call('EXPIRE', head, head_seconds)
  redis.call('PUBLISH', topic, '{"type":"lost"}')
end

local function publish(topic, before, after)
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
  return seq
end

local place = 1
while place <= #ARGV[10] do
  local topic, count
  topic, place = line(ARGV[10], place)
  count, place = line(ARGV[10], place)
  alone(lose, topic, count)
end
place = 1
while place <= #ARGV[8] do
  local topic, before, after
  topic, place = line(ARGV[8], place)
  before, place = line(ARGV[8], place)
  after, place = line(ARGV[8], place)
  seqs[#seqs + 1] = alone(publish, topic, before, after)
end
if stamp ~= '' then
  local now = redis.call('TIME')
  redis.call('HSET', stamp, 'at', now[1] .. string.format('%06d', now[2]), 'by', ARGV[1], 'ended', '')
  redis.call('EXPIRE', stamp, head_seconds)
end
if note ~= '' then
  local noted = {}
  for number, seq in ipairs(seqs) do
    noted[number] = string.format('%.0f', seq) -- Lua's own way has 14 digits
  end
  redis.call('SET', note, table.concat(noted, ' '), 'EX', ARGV[9])
end
return seqs
