-- The unique keys of a table that lack its time, with their columns; a partial or expression index is none of them.
SELECT constraint_.conname, constraint_.contype::text,
       array_agg(attribute.attname ORDER BY place.number)
FROM pg_constraint AS constraint_
CROSS JOIN LATERAL unnest(constraint_.conkey) WITH ORDINALITY AS place (attnum, number)
JOIN pg_attribute AS attribute ON attribute.attrelid = constraint_.conrelid AND attribute.attnum = place.attnum
WHERE constraint_.conrelid = %(table)s::regclass AND constraint_.contype IN ('p', 'u')
GROUP BY constraint_.conname, constraint_.contype
HAVING NOT bool_or(attribute.attname = %(time)s)
ORDER BY constraint_.conname
