-- Limits in force, and those that are not and do not say so yet. `row_version` is the transaction that wrote the row
-- last: whoever changes anything of it changes that. `is_seen`: it was evaluated since its terms were changed.
SELECT * FROM (
    SELECT
        limits.id, limits.portfolio_id, limits.kind, limits.symbol, limits.threshold_value, limits.warning_threshold,
        limits.action, limits.severity, limits.status, limits.status_reason, limits.current_value,
        limits.xmin::text AS row_version,
        coalesce(limits.evaluated_at >= limits.updated_at, false) AS is_seen,
        limits.active AND portfolio.closed_at IS NULL
            AND (limits.effective_from IS NULL OR limits.effective_from <= statement_timestamp())
            AND (limits.effective_to IS NULL OR limits.effective_to > statement_timestamp()) AS in_force
    FROM risk_limits AS limits
    JOIN portfolios_portfolio AS portfolio ON portfolio.id = limits.portfolio_id
) AS judged
WHERE in_force OR status_reason <> %(not_in_force)s
ORDER BY portfolio_id, id
