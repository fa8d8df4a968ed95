INSERT INTO portfolios_reservation (
    id, portfolio_id, symbol, quantity, open_quantity, price, order_id, status, created_at, expires_at, created_by_id
)
SELECT
    held.id, %(portfolio_id)s, held.symbol, held.quantity, held.quantity, held.price, held.order_id, 'held',
    statement_timestamp(), %(expires_at)s, %(user_id)s
FROM unnest(
    %(ids)s::uuid[], %(symbols)s::text[], %(quantities)s::numeric[], %(prices)s::numeric[], %(order_ids)s::text[]
) AS held (id, symbol, quantity, price, order_id)
