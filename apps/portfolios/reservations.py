"""What becomes of a reservation: its trade is booked, it is given back, or its time runs out.

Each of these holds the portfolio's row, as bookings and reserving checks do: what a reservation gives up, its trade
takes in the same step. Whether one is live is told by the database's clock alone, whichever machine asks.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.portfolios.booking import lock_portfolio
from apps.portfolios.errors import ReservationEndedError, ReservationMismatchError, UnknownReservationError
from apps.portfolios.models import Portfolio, Reservation
from apps.portfolios.trade_rows import TradeRow
from apps.realtime.topics import publish_after_commit

HELD = Reservation.Status.HELD

_EXPIRE = (Path(__file__).parent / "sql" / "expire_reservations.sql").read_text()


def live_reservations() -> QuerySet[Reservation]:
    return Reservation.objects.filter(status=HELD, expires_at__gt=Now())


def settle_reservation(portfolio: Portfolio, reservation_id: UUID, row: TradeRow) -> Reservation:
    """Takes the trade out of what the reservation holds; the portfolio's row is held by the caller.

    A trade smaller than the reservation leaves the rest of it held. Raises UnknownReservationError,
    ReservationEndedError, ReservationMismatchError.
    """
    reservation = Reservation.objects.filter(pk=reservation_id, portfolio=portfolio).first()
    if reservation is None:
        raise UnknownReservationError(reservation_id, portfolio.id)
    _refuse_other_trade(reservation, row)
    rest = reservation.open_quantity - row.quantity
    changes: dict[str, Any] = {"open_quantity": rest}
    if not rest:
        changes |= {"status": Reservation.Status.BOOKED, "ended_at": Now()}
    if not live_reservations().filter(pk=reservation.pk).update(**changes):
        raise _ended(reservation)
    return reservation


def _refuse_other_trade(reservation: Reservation, row: TradeRow) -> None:
    same_side = (row.quantity > 0) == (reservation.open_quantity > 0)
    if row.symbol == reservation.instrument_id and same_side and abs(row.quantity) <= abs(reservation.open_quantity):
        return
    raise ReservationMismatchError(
        f"The trade of {row.quantity.normalize():f} {row.symbol} is not what reservation {reservation.id} holds: "
        f"{reservation.open_quantity.normalize():f} {reservation.instrument_id}.",
        "Book that or less of it; check and reserve anew for more.",
        "reservation_id",
    )


@transaction.atomic
def release_reservation(reservation: Reservation) -> Reservation:
    """Gives the room back at once; a second time does nothing. Raises ReservationEndedError for one that was booked."""
    lock_portfolio(reservation.portfolio_id)
    released = Reservation.objects.filter(pk=reservation.pk, status=HELD).update(
        status=Reservation.Status.RELEASED, ended_at=Now()
    )
    reservation.refresh_from_db()
    if not released and reservation.status == Reservation.Status.BOOKED:
        raise _ended(reservation)
    if released:
        _announce(reservation)
    return reservation


def _announce(reservation: Reservation) -> None:
    told = {"event": f"reservation.{reservation.status}", "reservation_id": str(reservation.id)}
    publish_after_commit(
        f"portfolio:updates:{reservation.portfolio_id}", {**told, "portfolio_id": reservation.portfolio_id}
    )


def _ended(reservation: Reservation) -> ReservationEndedError:
    reservation.refresh_from_db()
    state = "has expired" if reservation.status in (HELD, "expired") else f"is {reservation.status}"
    when = reservation.ended_at or reservation.expires_at
    return ReservationEndedError(
        f"Reservation {reservation.id} {state} since {when:%Y-%m-%dT%H:%M:%SZ}: it holds nothing.",
        "Book the trade without it if it was done; else check and reserve anew.",
        "reservation_id",
    )


def expire_reservations() -> int:
    """Marks those whose time has run out, which hold nothing any more already; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE)
        return int(cursor.rowcount)
