-- Where each book comes from on its day: the value at the close before, what was paid in or out since, and its
-- time-weighted index at that close as a part of the highest that it has been.
WITH asked AS (
    SELECT * FROM unnest(%(portfolio_ids)s::text[], %(days)s::date[]) AS asked (portfolio_id, as_of)
),
before AS (
    SELECT asked.portfolio_id, last_close.date, last_close.value
    FROM asked
    CROSS JOIN LATERAL (
        SELECT data.date, data.value
        FROM portfolio_data AS data
        WHERE data.portfolio_id = asked.portfolio_id AND data.date < asked.as_of
        ORDER BY data.date DESC
        LIMIT 1
    ) AS last_close
),
steps AS (
    SELECT before.portfolio_id, returns.date, ln(greatest(1 + returns.return, 1e-300)) AS step
    FROM before
    JOIN portfolio_returns AS returns
        ON returns.portfolio_id = before.portfolio_id AND returns.date <= before.date
),
levels AS (
    SELECT portfolio_id, step, sum(step) OVER (PARTITION BY portfolio_id ORDER BY date) AS level FROM steps
),
peaks AS (
    SELECT portfolio_id, exp(sum(step) - greatest(max(level), 0)) AS of_peak FROM levels GROUP BY portfolio_id
)
SELECT
    asked.portfolio_id,
    coalesce(before.value, portfolio.initial_cash::float8) AS value,
    coalesce((
        SELECT sum(flow.amount)::float8 FROM portfolios_cashflow AS flow
        -- Also of later days: the cash that the book is valued with has them.
        WHERE flow.portfolio_id = asked.portfolio_id AND (before.date IS NULL OR flow.date > before.date)
    ), 0) AS flows,
    coalesce(peaks.of_peak, 1) AS of_peak,
    before.date AS closed_on,
    portfolio.inception_date AS began_on
FROM asked
JOIN portfolios_portfolio AS portfolio ON portfolio.id = asked.portfolio_id
LEFT JOIN before ON before.portfolio_id = asked.portfolio_id
LEFT JOIN peaks ON peaks.portfolio_id = asked.portfolio_id
