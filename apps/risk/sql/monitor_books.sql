-- What many portfolios hold now, a row a portfolio; one statement, as books.sql. Lists are texts: psycopg would take
-- longer to read an array than PostgreSQL takes to make it.
SELECT
    portfolio.id,
    portfolio.base_currency,
    portfolio.benchmark,
    portfolio.ledger_version,
    portfolio.cash,
    string_agg(position.symbol, ',' ORDER BY position.symbol) AS symbols,
    string_agg(position.quantity::text, ',' ORDER BY position.symbol) AS quantities,
    string_agg(position.symbol || ' (' || instrument.currency || ')', ',' ORDER BY position.symbol)
        FILTER (WHERE instrument.currency <> portfolio.base_currency) AS foreign_symbols
FROM portfolios_portfolio AS portfolio
LEFT JOIN portfolios_position AS position ON position.portfolio_id = portfolio.id
LEFT JOIN portfolios_instrument AS instrument ON instrument.symbol = position.symbol
WHERE portfolio.id = ANY(%(portfolio_ids)s)
GROUP BY portfolio.id
ORDER BY portfolio.id
