-- All closes as they stood at a price version: of each symbol and date the latest row that is not newer.
SELECT DISTINCT ON (price.symbol, price.date) price.symbol, price.date, price.close
FROM portfolios_dailyprice AS price
WHERE price.version <= {version}
ORDER BY price.symbol, price.date, price.version DESC
