-- The foreign keys of one column that refer to a table.
SELECT constraint_.conname, constraint_.conrelid::regclass::text, own.attname, theirs.attname
FROM pg_constraint AS constraint_
JOIN pg_attribute AS own ON own.attrelid = constraint_.conrelid AND own.attnum = constraint_.conkey[1]
JOIN pg_attribute AS theirs ON theirs.attrelid = constraint_.confrelid AND theirs.attnum = constraint_.confkey[1]
WHERE constraint_.confrelid = %(table)s::regclass AND constraint_.contype = 'f' AND constraint_.conparentid = 0
ORDER BY constraint_.conname
