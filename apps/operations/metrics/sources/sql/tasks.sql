-- Open tasks by kind: those that a worker holds, those that none has, and how long the oldest of these waits.
SELECT kind,
       count(*) FILTER (WHERE is_held) AS running,
       count(*) FILTER (WHERE NOT is_held) AS waiting,
       coalesce(max(extract(epoch FROM now - created_at)) FILTER (WHERE NOT is_held AND coalesced_with_id IS NULL), 0)::float8
FROM (
    SELECT kind, created_at, coalesced_with_id, clock_timestamp() AS now,
           coalesce(lease_expires_at >= clock_timestamp(), false)
               OR EXISTS (SELECT FROM tasks_task AS part WHERE part.part_of_id = task.id AND part.status = 'processing')
               AS is_held
    FROM tasks_task AS task
    WHERE status = 'processing'
) AS open
GROUP BY kind
ORDER BY kind
LIMIT 100
