-- Where each book comes from on its day: the value at the close before, what was paid in or out since, and its
-- time-weighted index at that close as a part of the highest that it has been.
WITH asked AS (
    SELECT * FROM unnest(%(portfolio_ids)s::text[], %(days)s::date[]) AS asked (portfolio_id, as_of)
),
before AS (
    SELECT DISTINCT ON (asked.portfolio_id) asked.portfolio_id, data.date, data.value
    FROM asked
    JOIN portfolio_data AS data ON data.portfolio_id = asked.portfolio_id AND data.date < asked.as_of
    ORDER BY asked.portfolio_id, data.date DESC
),
levels AS (
    SELECT
        before.portfolio_id,
        returns.date,
        sum(ln(greatest(1 + returns.return, 1e-300))) OVER (PARTITION BY before.portfolio_id ORDER BY returns.date)
            AS level
    FROM before
    JOIN portfolio_returns AS returns
        ON returns.portfolio_id = before.portfolio_id AND returns.date <= before.date
),
peaks AS (
    SELECT portfolio_id, exp((array_agg(level ORDER BY date DESC))[1] - greatest(max(level), 0)) AS of_peak
    FROM levels
    GROUP BY portfolio_id
)
SELECT
    asked.portfolio_id,
    coalesce(before.value, portfolio.initial_cash::float8) AS value,
    coalesce((
        SELECT sum(flow.amount)::float8 FROM portfolios_cashflow AS flow
        WHERE flow.portfolio_id = asked.portfolio_id AND flow.date <= asked.as_of
            AND (before.date IS NULL OR flow.date > before.date)
    ), 0) AS flows,
    coalesce(peaks.of_peak, 1) AS of_peak
FROM asked
JOIN portfolios_portfolio AS portfolio ON portfolio.id = asked.portfolio_id
LEFT JOIN before ON before.portfolio_id = asked.portfolio_id
LEFT JOIN peaks ON peaks.portfolio_id = asked.portfolio_id
