"""Every limit on the book as it would be after the trade, and on the trade itself."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from apps.risk.figures import BookFigures, NotMeasurableError, Order, Past
from apps.risk.kernels.hysteresis import exceeds
from apps.risk.limit_kinds import LIMIT_KINDS, BookKind, OrderKind
from apps.risk.pretrade.orders import Facts, Leg, LimitRow, PricedTrade, Refusal
from apps.risk.pretrade.positions import Positions


@dataclass(frozen=True, slots=True)
class Check:
    """One limit. `current` is before the trade, with what is reserved; both are None where they cannot be computed."""

    limit: LimitRow
    current: float | None
    projected: float | None
    status: str
    reason: str = ""
    symbol: str | None = None

    def as_told(self) -> dict[str, object]:
        return {
            "limit_id": self.limit.id,
            "kind": self.limit.kind,
            "symbol": self.limit.symbol or self.symbol,
            "action": self.limit.action,
            "current": self.current,
            "projected": self.projected,
            "threshold": self.limit.threshold,
            "warning_threshold": self.limit.warning_threshold,
            "status": self.status,
            "reason": self.reason or None,
        }


def status_at(limit: LimitRow, value: float) -> str:
    if exceeds(value, limit.threshold):
        return "breach"
    return "warning" if exceeds(value, limit.warning_threshold) else "ok"


class Outlook:
    """A book before and after some legs, whatever becomes of the orders that hold reservations.

    A reservation is a trade that may or may not come. So a limit is held against the book with all of them, with of
    each symbol the side that makes its position the larger, with only the purchases and with only the sales, and the
    worst counts: what a sale would free can be used when it is booked, and not before. `apart`: the legs themselves
    become reservations, each of which is booked or given back by itself.
    """

    def __init__(
        self, positions: Positions, facts: Facts, legs: Sequence[Leg], find_past: Callable[[], Past], apart: bool
    ) -> None:
        reserved = facts.reserved
        before = dict.fromkeys(_may_come(positions, reserved))
        after = [(*some, *legs) for some in _may_come(positions, reserved, legs)]
        if apart:
            after += _may_come(positions, [*reserved, *legs])
        self.before = [positions.figures(facts.cash, some, find_past) for some in before]
        self.after = [positions.figures(facts.cash, some, find_past) for some in dict.fromkeys(after)]


def _may_come(positions: Positions, reserved: Sequence[Leg], legs: Sequence[Leg] = ()) -> list[tuple[Leg, ...]]:
    bought = tuple(leg for leg in reserved if leg.quantity > 0)
    sold = tuple(leg for leg in reserved if leg.quantity < 0)
    return [tuple(reserved), _widest(positions, reserved, legs), bought, sold]


def _widest(positions: Positions, reserved: Sequence[Leg], legs: Sequence[Leg]) -> tuple[Leg, ...]:
    """Of each symbol nothing, the purchases or the sales: what makes its position after the legs the largest.

    The worst case of every measure that adds up the sizes of positions.
    """
    widest: list[Leg] = []
    for symbol in sorted({leg.symbol for leg in reserved}):
        start = positions.held(symbol) + _sum_of(legs, symbol)
        sides = [
            [leg for leg in reserved if leg.symbol == symbol and (leg.quantity > 0) is buys] for buys in (True, False)
        ]
        widest += max([[], *sides], key=lambda side: abs(start + sum(leg.quantity for leg in side)))
    return tuple(widest)


def _sum_of(legs: Iterable[Leg], symbol: str) -> float:
    return sum(leg.quantity for leg in legs if leg.symbol == symbol)


def check_limits(
    facts: Facts, positions: Positions, trades: Sequence[PricedTrade], find_past: Callable[[], Past], apart: bool
) -> Iterator[Check]:
    """One for each limit in force, and for one on orders one for each trade that it concerns."""
    outlook = Outlook(positions, facts, [trade.leg for trade in trades], find_past, apart)
    for limit in facts.limits:
        kind = LIMIT_KINDS[limit.kind]
        if isinstance(kind, BookKind):
            yield _book_check(limit, kind, outlook)
        elif isinstance(kind, OrderKind):
            yield from _order_checks(limit, kind, facts, trades)


def _book_check(limit: LimitRow, kind: BookKind, outlook: Outlook) -> Check:
    try:
        current: float | None = _worst(kind, limit.symbol, outlook.before)
    except NotMeasurableError:
        current = None
    try:
        projected = _worst(kind, limit.symbol, outlook.after)
    except NotMeasurableError as error:
        return Check(limit, current, None, "unknown", error.detail)
    return Check(limit, current, projected, status_at(limit, projected))


def _worst(kind: BookKind, symbol: str | None, books: list[BookFigures]) -> float:
    found = max(kind.measure(book, symbol) for book in books)
    if not math.isfinite(found):
        raise NotMeasurableError(f"it comes to {found}, which is no number")
    return found


def _order_checks(limit: LimitRow, kind: OrderKind, facts: Facts, trades: Sequence[PricedTrade]) -> Iterator[Check]:
    """One for each trade that the limit concerns; those of a basket count as sent one after the other."""
    recent = dict(facts.recent)
    for trade in trades:
        leg = trade.leg
        order = Order(leg.symbol, leg.quantity, leg.price, trade.last_price, dict(recent))
        recent[leg.symbol] = recent.get(leg.symbol, 0) + 1
        if limit.symbol in (None, leg.symbol):
            value = kind.measure(order, limit.symbol)
            before = kind.before(order, limit.symbol)
            yield Check(limit, before, value, status_at(limit, value), symbol=leg.symbol)


def refusals_of(checks: Iterable[Check], shrinks: bool) -> Iterator[Refusal]:
    """Why limits that block speak against the trade. `shrinks`: every trade only makes a position smaller."""
    for check in checks:
        if check.limit.action == "block" and (said := _objection(check, shrinks)):
            yield Refusal(f"limit_{check.status}", said, check.limit.id, check.symbol)


def warnings_of(checks: Iterable[Check], refused: set[int | None]) -> Iterator[str]:
    """What to say of the limits that do not speak against it."""
    for check in checks:
        if check.limit.id in refused or check.status in ("ok", "warning"):
            continue
        yield _unknown(check) if check.projected is None else _above(check)


def _objection(check: Check, shrinks: bool) -> str | None:
    if check.status == "unknown":
        return _unknown(check)
    if check.status == "breach" and not _mends(check, shrinks):
        return _above(check)
    return None


def _mends(check: Check, shrinks: bool) -> bool:
    """Whether a trade in a book that is above its limit already brings it nearer to it.

    Who is in breach must be able to get out of it, also step by step.
    """
    kind = LIMIT_KINDS[check.limit.kind]
    if not isinstance(kind, BookKind) or check.current is None or check.projected is None:
        return False
    if not exceeds(check.current, check.limit.threshold) or exceeds(check.projected, check.current):
        return False
    lowers = exceeds(check.current, check.projected)
    # The largest of many positions may fall while another one rises above the limit.
    is_one_of_many = kind.takes_symbol and check.limit.symbol is None
    return shrinks or (lowers and not kind.stops_trading and not is_one_of_many)


def _above(check: Check) -> str:
    kind = LIMIT_KINDS[check.limit.kind]
    assert check.projected is not None
    of_symbol = f" of {check.limit.symbol or check.symbol}" if check.limit.symbol or check.symbol else ""
    would_be, bound = kind.shown(check.projected), kind.shown(check.limit.threshold)
    return f"{check.limit.kind}{of_symbol} would be {would_be}, above its limit of {bound}"


def _unknown(check: Check) -> str:
    return f"{check.limit.kind} cannot be computed: {check.reason}"
