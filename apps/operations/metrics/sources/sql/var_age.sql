-- Of each open portfolio that holds something, how old its newest stored VaR is; NULL where it has none.
SELECT portfolio.id, extract(epoch FROM clock_timestamp() - newest.timestamp)::float8 AS age_seconds
FROM portfolios_portfolio AS portfolio
LEFT JOIN LATERAL (
    SELECT timestamp FROM risk_metrics
    WHERE portfolio_id = portfolio.id
    ORDER BY timestamp DESC
    LIMIT 1
) AS newest ON true
WHERE portfolio.closed_at IS NULL
  AND EXISTS (SELECT FROM portfolios_position AS held WHERE held.portfolio_id = portfolio.id AND held.quantity <> 0)
ORDER BY portfolio.id
LIMIT %(most)s
