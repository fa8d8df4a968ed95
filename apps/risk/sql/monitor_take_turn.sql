-- Compare-and-set by the database's clock, which is the same for all machines. A row that is held just now is that of a
-- run that writes, or of somebody who switches monitoring: not a reason to wait.
UPDATE risk_monitor
SET epoch = epoch + 1,
    holder = %(holder)s,
    lease_expires_at = statement_timestamp() + make_interval(secs => %(lease_seconds)s)
WHERE id = (
    SELECT id FROM risk_monitor
    WHERE lease_expires_at IS NULL OR lease_expires_at <= statement_timestamp()
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING epoch, statement_timestamp()
