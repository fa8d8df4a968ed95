INSERT INTO portfolios_instrument (symbol, name, currency, active, created_at)
SELECT DISTINCT symbol, '', 'USD', true, now()
FROM price_change
ON CONFLICT (symbol) DO NOTHING
