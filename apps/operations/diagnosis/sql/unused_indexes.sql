-- Neither unique nor behind a constraint: those are there for what they forbid, not for what they find. Nor a chunk's: it is made
-- and dropped with its hypertable's, whose own is empty and never scanned.
SELECT index_class.relname AS name, table_class.relname AS table_name, pg_relation_size(index_class.oid) AS size_bytes
FROM pg_stat_user_indexes AS usage
JOIN pg_index AS definition ON definition.indexrelid = usage.indexrelid
JOIN pg_class AS index_class ON index_class.oid = usage.indexrelid
JOIN pg_class AS table_class ON table_class.oid = usage.relid
WHERE usage.schemaname !~ '^_timescaledb' AND usage.idx_scan = 0 AND definition.indisvalid AND NOT definition.indisunique AND NOT definition.indisexclusion
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = usage.indexrelid)
  AND pg_relation_size(index_class.oid) >= %(least_bytes)s
ORDER BY size_bytes DESC
LIMIT 20
