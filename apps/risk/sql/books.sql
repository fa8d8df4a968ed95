-- What many portfolios hold now, a row a position and one without a symbol for an empty book. One statement, so that
-- no booking falls between a book's positions, its cash and its ledger version.
SELECT
    portfolio.id AS portfolio_id,
    portfolio.base_currency AS currency,
    coalesce(portfolio.benchmark, '') AS benchmark,
    portfolio.ledger_version,
    portfolio.cash::text AS cash,
    coalesce(position.symbol, '') AS symbol,
    position.quantity,
    coalesce(instrument.currency, '') AS symbol_currency
FROM portfolios_portfolio AS portfolio
LEFT JOIN portfolios_position AS position ON position.portfolio_id = portfolio.id
LEFT JOIN portfolios_instrument AS instrument ON instrument.symbol = position.symbol
WHERE portfolio.id = ANY({portfolio_ids})
ORDER BY portfolio.id, position.symbol
