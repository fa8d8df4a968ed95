-- Unlinks answers and takes them off the bytes that are kept. KEYS: sizes, then the answers.
local gone = 0
for place = 2, #KEYS do
  local old = redis.call('HMGET', KEYS[place], 'size', 'bucket')
  if old[1] then redis.call('HINCRBY', KEYS[1], old[2], -old[1]) end
  gone = gone + redis.call('UNLINK', KEYS[place])
end
return gone
