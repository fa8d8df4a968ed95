-- One message: its topic's next seq, its place in the stream and its way to the hubs, in one step.
-- KEYS: the topic's head (hash of epoch and seq), the topic's stream
-- ARGV: topic, text before seq, text after epoch, an epoch should one be needed, messages kept, seconds the
--       stream and the head are kept
local head, stream = KEYS[1], KEYS[2]
redis.call('HSETNX', head, 'epoch', ARGV[4])
local epoch = redis.call('HGET', head, 'epoch')
local seq = redis.call('HINCRBY', head, 'seq', 1)
if seq == 1 then
  redis.call('DEL', stream) -- what a lost head left behind belongs to another epoch
end
local text = ARGV[2] .. string.format('%.0f', seq) .. ',"epoch":"' .. epoch .. '"' .. ARGV[3]
redis.call('XADD', stream, 'MAXLEN', '~', ARGV[5], string.format('%.0f-0', seq), 'text', text)
redis.call('EXPIRE', stream, ARGV[6])
redis.call('EXPIRE', head, ARGV[7])
redis.call('PUBLISH', ARGV[1], text)
return seq
