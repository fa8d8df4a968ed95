-- Of each portfolio and kind the limit in force that is nearest to its threshold, or furthest above it.
SELECT portfolio_id, kind, max(abs(current_value) / threshold_value)::float8
FROM risk_limits
JOIN (SELECT id FROM portfolios_portfolio WHERE closed_at IS NULL ORDER BY id LIMIT %(most)s) AS portfolio
    ON portfolio.id = risk_limits.portfolio_id
WHERE active
  AND current_value IS NOT NULL
  AND (effective_from IS NULL OR effective_from <= now())
  AND (effective_to IS NULL OR effective_to > now())
  AND status <> 'unknown'
GROUP BY portfolio_id, kind
ORDER BY portfolio_id, kind
