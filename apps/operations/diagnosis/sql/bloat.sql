-- Without TimescaleDB's own schemas: a chunk is vacuumed by autovacuum, and compressed where it is old.
SELECT schemaname AS schema_name, relname AS table_name, n_dead_tup AS dead, n_live_tup AS live,
       n_dead_tup::float8 / greatest(n_live_tup + n_dead_tup, 1) AS dead_share,
       pg_total_relation_size(relid) AS size_bytes, greatest(last_autovacuum, last_vacuum) AS vacuumed_at
FROM pg_stat_user_tables
WHERE schemaname !~ '^_timescaledb'
ORDER BY n_dead_tup DESC
