-- Whether the topics' heads are what this life of the server may go on from; where not, they are void from here on.
-- KEYS: what holds the run_id of the life that the heads belong to
-- ARGV: what the keys of heads and of streams begin with
-- Answers with how many keys were void.
-- A life that began from a snapshot has heads that are behind: their next seqs would be given a second time, to other
-- messages. Only an append-only file vouches for them. A replica that became the master may be behind as well.
local function said(section, name)
  return string.match(redis.call('INFO', section), name .. ':([^\r\n]*)') or ''
end

local run_id = said('server', 'run_id')
if redis.call('GET', KEYS[1]) == run_id then
  return 0
end
redis.call('SET', KEYS[1], run_id)
if said('persistence', 'aof_enabled') == '1' and not string.find(said('replication', 'master_replid2'), '[^0]') then
  return 0
end

local void, cursor = 0, '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', 'topics:*', 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    if string.sub(key, 1, #ARGV[1]) == ARGV[1] or string.sub(key, 1, #ARGV[2]) == ARGV[2] then
      void = void + redis.call('UNLINK', key)
    end
  end
until cursor == '0'
return void
