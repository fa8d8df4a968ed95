-- The next telling of open events that nobody has acknowledged, to channels whose last one is old enough.
INSERT INTO risk_alert_deliveries
    (id, event_id, channel_id, kind, target, turn, status, attempts, next_attempt_at, last_answer, created_at)
SELECT gen_random_uuid(), event.id, channel.id, channel.kind, channel.target, last.turn + 1, 'pending', 0,
       statement_timestamp(), '', statement_timestamp()
FROM risk_events AS event
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (told.channel_id) told.channel_id, told.turn, told.created_at
    FROM risk_alert_deliveries AS told
    WHERE told.event_id = event.id
    ORDER BY told.channel_id, told.turn DESC
) AS last
JOIN risk_alert_channels AS channel ON channel.id = last.channel_id
WHERE event.closed_at IS NULL
  AND event.acknowledged_at IS NULL
  AND event.event_type = ANY(%(event_types)s::text[])
  AND channel.enabled
  AND array_position(%(severities)s::text[], event.severity::text)
      >= array_position(%(severities)s::text[], channel.min_severity::text)
  AND last.created_at <= statement_timestamp() - %(repeat_after)s
ON CONFLICT (event_id, channel_id, turn) DO NOTHING
