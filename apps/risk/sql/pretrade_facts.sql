-- Everything a check is decided on but the positions, which have not changed while `ledger_version` has not. One
-- statement sees one moment. A check that reserves holds the portfolio's row before this statement begins: were the
-- row locked here, the subqueries would still see what was true before the wait.
SELECT json_build_object(
    'base_currency', portfolio.base_currency,
    'trading_state', portfolio.trading_state,
    'closed_at', portfolio.closed_at,
    'benchmark', portfolio.benchmark,
    'cash', portfolio.cash::float8,
    'ledger_version', portfolio.ledger_version,
    'history_ledger_version', portfolio.history_ledger_version,
    'history_price_version', portfolio.history_price_version,
    'short_selling_allowed', portfolio.short_selling_allowed,
    'leverage_allowed', portfolio.leverage_allowed,
    'price_version', coalesce((SELECT max(id) FROM portfolios_priceversion), 0),
    'halt', (SELECT trading_state FROM risk_trading_halts ORDER BY id DESC LIMIT 1),
    'now', statement_timestamp(),
    'limits', coalesce((
        SELECT json_agg(json_build_array(
            id, kind, symbol, threshold_value, warning_threshold, action
        ) ORDER BY id)
        FROM risk_limits
        WHERE portfolio_id = portfolio.id AND active
            AND (effective_from IS NULL OR effective_from <= statement_timestamp())
            AND (effective_to IS NULL OR effective_to > statement_timestamp())
    ), '[]'),
    -- Purchases and sales of a symbol apart, each at its mean price: as many rows as symbols, however many reservations.
    'reserved', coalesce((
        SELECT json_agg(json_build_array(symbol, quantity, price) ORDER BY symbol, quantity) FROM (
            SELECT
                symbol,
                sum(open_quantity)::float8 AS quantity,
                (sum(open_quantity * price) / sum(open_quantity))::float8 AS price
            FROM portfolios_reservation
            WHERE portfolio_id = portfolio.id AND status = 'held' AND expires_at > statement_timestamp()
            GROUP BY symbol, open_quantity > 0
        ) AS held
    ), '[]'),
    'instruments', coalesce((
        SELECT json_agg(json_build_array(
            symbol, currency, active, price_tick::text, quantity_step::text, min_quantity::text, max_quantity::text
        ))
        FROM portfolios_instrument WHERE symbol = ANY(%(symbols)s)
    ), '[]'),
    'recent', coalesce((
        SELECT json_agg(json_build_array(symbol, orders)) FROM (
            SELECT symbol, count(*) AS orders FROM portfolios_reservation
            WHERE portfolio_id = portfolio.id AND created_at > statement_timestamp() - interval '1 minute'
            GROUP BY symbol
        ) AS of_symbol
    ), '[]'),
    -- Two questions, each with its index: together they would go through all that was ever reserved.
    'similar', coalesce((
        SELECT json_agg(json_build_array(id, order_id, symbol, quantity::text, price::text)) FROM (
            SELECT id, order_id, symbol, quantity, price
            FROM portfolios_reservation
            WHERE portfolio_id = portfolio.id AND order_id = ANY(%(order_ids)s)
            UNION ALL
            SELECT id, order_id, symbol, quantity, price
            FROM portfolios_reservation
            WHERE portfolio_id = portfolio.id AND order_id IS NULL AND created_by_id = %(user_id)s
                AND created_at > statement_timestamp() - make_interval(secs => %(duplicate_seconds)s)
        ) AS earlier
    ), '[]')
)::text AS facts
FROM portfolios_portfolio AS portfolio
WHERE portfolio.id = %(portfolio_id)s
    -- As apps/portfolios/access.py has it; a test holds the two together.
    AND (%(sees_all)s OR EXISTS (
        SELECT 1 FROM portfolios_portfolio_groups AS shared
        JOIN auth_user_groups AS member ON member.group_id = shared.group_id
        WHERE shared.portfolio_id = portfolio.id AND member.user_id = %(user_id)s
    ))
