-- A worker takes a task: one compare-and-set, so that of two messages for a row one is dropped.
WITH taken AS (
    UPDATE tasks_task
    SET attempts = attempts + 1,
        started_at = coalesce(started_at, %(now)s),
        worker = %(worker)s,
        lease_expires_at = %(lease_expires_at)s
    WHERE id = %(task_id)s
      AND status = 'processing'
      AND coalesced_with_id IS NULL
      AND (lease_expires_at IS NULL OR lease_expires_at < %(now)s)
      AND attempts < %(max_attempts)s
    RETURNING *
), shared AS (
    UPDATE tasks_task AS follower
    SET started_at = taken.started_at
    FROM taken
    WHERE follower.coalesced_with_id = taken.id AND follower.started_at IS NULL
)
SELECT * FROM taken
