-- Large tables that are read from end to end more often than by an index.
SELECT relname AS table_name, seq_scan, coalesce(idx_scan, 0) AS idx_scan, n_live_tup AS row_count,
       seq_tup_read / greatest(seq_scan, 1) AS rows_a_scan
FROM pg_stat_user_tables
WHERE n_live_tup >= %(least_rows)s AND seq_scan >= %(least_scans)s AND seq_scan > coalesce(idx_scan, 0)
  AND seq_tup_read / greatest(seq_scan, 1) >= %(least_rows)s / 2
ORDER BY seq_tup_read DESC
LIMIT 10
