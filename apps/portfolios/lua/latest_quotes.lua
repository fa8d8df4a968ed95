-- All quotes as one text, "symbol|timestamp_us|price|received_us|symbol|…": one answer to read instead of thousands.
-- KEYS: quotes (hash)
return table.concat(redis.call('HGETALL', KEYS[1]), '|')
