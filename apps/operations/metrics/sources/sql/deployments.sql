-- What is on its way or active, and how the last hour's rollbacks went.
SELECT
    count(*) FILTER (WHERE status IN ('pending', 'validating', 'backtesting')) AS working,
    coalesce(max(extract(epoch FROM clock_timestamp() - created_at))
        FILTER (WHERE status IN ('pending', 'validating', 'backtesting')), 0)::float8 AS oldest_working_seconds,
    count(*) FILTER (WHERE rolls_back_id IS NOT NULL AND status = 'failed' AND ended_at > now() - interval '1 hour')
        AS failed_rollbacks_last_hour,
    count(*) FILTER (WHERE rolls_back_id IS NULL AND status = 'failed' AND ended_at > now() - interval '1 hour')
        AS failed_last_hour,
    (SELECT count(*) FROM strategy_merge_requests WHERE status = 'open') AS merge_requests_open,
    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - created_at)), 0)::float8 FROM strategy_merge_requests
     WHERE status = 'open') AS oldest_merge_request_seconds
FROM deployments
