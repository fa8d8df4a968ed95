-- One statement, so that one round trip keeps the decision. Where it holds no room, losing it to a crash of the
-- database's machine within the last moments costs a record and no money: its commit does not wait for the disk.
INSERT INTO risk_decisions (portfolio_id, user_id, evaluated_at, approved, reserve, answer, decided_on)
SELECT
    %(portfolio_id)s, %(user_id)s, %(evaluated_at)s, %(approved)s, %(reserve)s, %(answer)s::jsonb, %(decided_on)s::jsonb
FROM (SELECT CASE WHEN %(wait_for_disk)s THEN NULL ELSE set_config('synchronous_commit', 'off', true) END) AS setting
