INSERT INTO portfolios_dailyprice (symbol, date, close, version)
SELECT symbol, date, close, %(version)s
FROM price_change
ORDER BY symbol, date
