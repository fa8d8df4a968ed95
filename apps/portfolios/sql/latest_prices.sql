-- The newest close of each symbol at a price version; one backward index scan a symbol.
SELECT wanted.symbol, newest.date, newest.close
FROM unnest(%(symbols)s::text[]) AS wanted (symbol)
CROSS JOIN LATERAL (
    SELECT price.date, price.close
    FROM portfolios_dailyprice AS price
    WHERE price.symbol = wanted.symbol AND price.version <= %(version)s
    ORDER BY price.date DESC, price.version DESC
    LIMIT 1
) AS newest
