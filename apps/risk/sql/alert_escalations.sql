-- The first telling, to channels that are told only where nobody has acknowledged an open event for so long, and to those
-- that were made, or switched on, after it was told. What is about all portfolios goes once to each target.
INSERT INTO risk_alert_deliveries
    (id, event_id, channel_id, kind, target, turn, status, attempts, next_attempt_at, last_answer, created_at)
SELECT DISTINCT ON (event.id, channel.kind, channel.target)
       gen_random_uuid(), event.id, channel.id, channel.kind, channel.target, 0, 'pending', 0,
       statement_timestamp(), '', statement_timestamp()
FROM risk_events AS event
JOIN risk_alert_channels AS channel ON channel.portfolio_id = event.portfolio_id OR event.portfolio_id IS NULL
WHERE event.closed_at IS NULL
  AND event.acknowledged_at IS NULL
  AND event.event_type <> 'test'
  AND channel.enabled
  AND event.timestamp <= statement_timestamp() - channel.escalate_after_minutes * interval '1 minute'
  AND array_position(%(severities)s::text[], event.severity::text)
      >= array_position(%(severities)s::text[], channel.min_severity::text)
  AND NOT EXISTS (
      SELECT 1 FROM risk_alert_deliveries AS told
      WHERE told.event_id = event.id
          AND (
              told.channel_id = channel.id
              OR event.portfolio_id IS NULL AND told.kind = channel.kind AND told.target = channel.target
          )
  )
ON CONFLICT (event_id, channel_id, turn) DO NOTHING
