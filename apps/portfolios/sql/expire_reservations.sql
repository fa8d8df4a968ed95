-- SKIP LOCKED: a booking that settles one of them at this moment decides what becomes of it.
UPDATE portfolios_reservation AS reservation
SET status = 'expired', ended_at = expires_at
WHERE reservation.id IN (
    SELECT id FROM portfolios_reservation
    WHERE status = 'held' AND expires_at <= statement_timestamp()
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
