-- What the file says and the newest rows do not; one backward index scan a row of the file.
CREATE TEMP TABLE price_change ON COMMIT DROP AS
SELECT staged.symbol, staged.date, staged.close, newest.close IS NULL AS is_new
FROM price_staging AS staged
LEFT JOIN LATERAL (
    SELECT price.close
    FROM portfolios_dailyprice AS price
    WHERE price.symbol = staged.symbol AND price.date = staged.date
    ORDER BY price.version DESC
    LIMIT 1
) AS newest ON true
WHERE newest.close IS DISTINCT FROM staged.close
