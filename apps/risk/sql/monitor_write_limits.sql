-- A limit that anybody changed since it was read is left to the next run, which judges what it is now.
UPDATE risk_limits AS limits
SET status = judged.status,
    status_reason = judged.reason,
    current_value = judged.value,
    status_since = CASE WHEN limits.status = judged.status THEN coalesce(limits.status_since, %(now)s) ELSE %(now)s END,
    evaluated_at = %(now)s
FROM unnest(
    %(ids)s::bigint[], %(row_versions)s::text[], %(statuses)s::text[], %(reasons)s::text[], %(values)s::float8[]
) AS judged (id, row_version, status, reason, value)
WHERE limits.id = judged.id AND limits.xmin::text = judged.row_version
RETURNING limits.id
