-- A worker takes a task: one compare-and-set, so that of two messages for a row one is dropped. A divided task waits
-- for its parts, and is run once more to join them.
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
      AND NOT EXISTS (SELECT FROM tasks_task AS part WHERE part.part_of_id = tasks_task.id AND part.status = 'processing')
      AND attempts < %(max_attempts)s
          + EXISTS (SELECT FROM tasks_task AS part WHERE part.part_of_id = tasks_task.id)::int
    RETURNING *
), shared AS (
    UPDATE tasks_task AS follower
    SET started_at = taken.started_at
    FROM taken
    WHERE follower.coalesced_with_id = taken.id AND follower.started_at IS NULL
)
SELECT * FROM taken
