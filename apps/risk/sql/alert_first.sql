-- The first telling of events: one delivery for each channel of their portfolio that is told at once; of what is about
-- all portfolios, one for each target of any portfolio. The caller sends the messages itself; where it dies before that,
-- the deliveries come up as due a moment later.
WITH event AS (
    SELECT id, portfolio_id, array_position(%(severities)s::text[], severity::text) AS severity
    FROM risk_events
    WHERE id = ANY(%(event_ids)s::bigint[]) AND event_type <> 'test'
),
told_at_once AS (
    SELECT id, portfolio_id, kind, target, array_position(%(severities)s::text[], min_severity::text) AS least
    FROM risk_alert_channels
    WHERE enabled AND escalate_after_minutes = 0
),
told AS (
    SELECT event.id AS event_id, channel.id AS channel_id, channel.kind, channel.target
    FROM event
    JOIN told_at_once AS channel ON channel.portfolio_id = event.portfolio_id AND event.severity >= channel.least
    UNION ALL
    SELECT DISTINCT ON (event.id, channel.kind, channel.target) event.id, channel.id, channel.kind, channel.target
    FROM event
    JOIN told_at_once AS channel ON event.portfolio_id IS NULL AND event.severity >= channel.least
)
INSERT INTO risk_alert_deliveries
    (id, event_id, channel_id, kind, target, turn, status, attempts, next_attempt_at, last_answer, created_at)
SELECT gen_random_uuid(), event_id, channel_id, kind, target, 0, 'pending', 0,
       statement_timestamp() + %(queued_for)s, '', statement_timestamp()
FROM told
ON CONFLICT (event_id, channel_id, turn) DO NOTHING
RETURNING id
