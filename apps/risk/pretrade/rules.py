"""What speaks against a trade besides limits: its instrument, its price, its portfolio, its likeness to another."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.conf import settings

from apps.portfolios.models import Portfolio
from apps.risk.pretrade.orders import AskedTrade, EarlierOrder, Facts, InstrumentRow, Leg, PricedTrade, Refusal
from apps.risk.pretrade.positions import Positions
from apps.risk.windows import Windows

State = Portfolio.TradingState

# A price is kept with 8 places.
_LEAST_PRICE = Decimal("0.00000001")


def portfolio_refusals(portfolio_id: str, facts: Facts) -> Iterator[Refusal]:
    if facts.closed_at is not None:
        yield Refusal("portfolio_closed", f"{portfolio_id} was closed at {facts.closed_at:%Y-%m-%dT%H:%M:%SZ}")
    if State.HALTED in (facts.trading_state, facts.halt):
        whose = f"of {portfolio_id}" if facts.trading_state == State.HALTED else "of all portfolios"
        yield Refusal("trading_halted", f"trading {whose} is halted; a risk manager can lift it")


def trading_state(facts: Facts) -> str:
    """The stricter of the portfolio's own and that of all."""
    return stricter(facts.trading_state, facts.halt or State.ACTIVE)


def stricter(*states: str) -> str:
    order = [State.ACTIVE, State.REDUCING, State.HALTED]
    return max(states, key=lambda state: order.index(State(state)))


def instrument_refusals(trade: AskedTrade, facts: Facts) -> Iterator[Refusal]:
    row = facts.instruments.get(trade.symbol)
    if row is None:
        unknown = f"there is no instrument '{trade.symbol}'; GET /api/v1/instruments lists them"
        yield Refusal("unknown_symbol", unknown, symbol=trade.symbol)
        return
    reasons = [*_kind_reasons(row, facts), *_size_reasons(row, trade)]
    yield from (Refusal(code, detail, symbol=row.symbol) for code, detail in reasons)


def _kind_reasons(row: InstrumentRow, facts: Facts) -> Iterator[tuple[str, str]]:
    if not row.active:
        yield "instrument_inactive", f"{row.symbol} takes no trades: it is inactive"
    if row.currency != facts.currency:
        foreign = f"{row.symbol} is priced in {row.currency}, the portfolio is kept in {facts.currency}"
        yield "currency_mismatch", foreign


def _size_reasons(row: InstrumentRow, trade: AskedTrade) -> Iterator[tuple[str, str]]:
    size = abs(trade.quantity)
    if row.price_tick and trade.price is not None and trade.price % row.price_tick:
        yield "price_tick", f"the price {_plain(trade.price)} is no multiple of {_plain(row.price_tick)}"
    if row.quantity_step and size % row.quantity_step:
        yield "quantity_step", f"the quantity {_plain(size)} is no multiple of {_plain(row.quantity_step)}"
    if row.min_quantity and size < row.min_quantity:
        yield "min_quantity", f"the quantity {_plain(size)} is below the least, {_plain(row.min_quantity)}"
    if row.max_quantity and size > row.max_quantity:
        yield "max_quantity", f"the quantity {_plain(size)} is above the greatest, {_plain(row.max_quantity)}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def priced(trade: AskedTrade, windows: Windows) -> PricedTrade | None:
    """None for a symbol that never had a price."""
    latest = windows.latest_close(trade.symbol)
    if latest is None:
        return None
    _, close = latest
    price = trade.price if trade.price is not None else max(round(Decimal(repr(close)), 8), _LEAST_PRICE)
    return PricedTrade(trade, price, close)


def freshness_refusals(
    positions: Positions, trades: Iterable[AskedTrade], now: datetime, as_of: date | None
) -> Iterator[Refusal]:
    """Prices too old to trade on. A caller who names their day with `as_of` knows how old they are."""
    if as_of is not None:
        if as_of != positions.as_of:
            yield Refusal("as_of_mismatch", f"the latest closes are of {positions.as_of}, not of {as_of}")
        return
    oldest: dict[date, tuple[str, str | None]] = {
        positions.as_of: ("the latest day on which all positions have a close", None)
    }
    for trade in trades:
        if latest := positions.windows.latest_close(trade.symbol):
            oldest[latest[0]] = f"the latest close of {trade.symbol}", trade.symbol
    day = min(oldest)
    if is_stale(day, now):
        what, symbol = oldest[day]
        detail = (
            f"{what} is of {day}, older than {settings.MAX_PRICE_AGE_SECONDS} s; import prices, or name the day "
            "with as_of"
        )
        yield Refusal("price_stale", detail, symbol=symbol)


def last_close_warnings(positions: Positions) -> Iterator[str]:
    """Which of what is held is taken at an older close than the rest."""
    for symbol, day in positions.last_days.items():
        if positions.held(symbol):
            yield f"{symbol} is taken at its close of {day}, its last one up to {positions.as_of}"


def is_stale(day: date, now: datetime) -> bool:
    """Whether a close of this day is too old; it counts from the day's end in UTC."""
    if not settings.MAX_PRICE_AGE_SECONDS:
        return False
    end = datetime.combine(day, time(), UTC) + timedelta(days=1)
    return now - end > timedelta(seconds=settings.MAX_PRICE_AGE_SECONDS)


def collar_refusals(trade: PricedTrade) -> Iterator[Refusal]:
    """A price so far from the latest close that it is a mistake, whatever limits the portfolio has."""
    distance = abs(float(trade.price) / trade.last_price - 1)
    if settings.MAX_PRICE_DISTANCE and distance > settings.MAX_PRICE_DISTANCE:
        yield Refusal(
            "price_too_far",
            f"the price {_plain(trade.price)} of {trade.symbol} is {distance:.2%} from the latest close "
            f"{trade.last_price:.10g}, more than {settings.MAX_PRICE_DISTANCE:.0%}",
            symbol=trade.symbol,
        )


def double_refusals(trade: AskedTrade, price: Decimal, similar: Iterable[EarlierOrder]) -> Iterator[Refusal]:
    for other in similar:
        if trade.order_id is not None and other.order_id == trade.order_id:
            used = f"the order_id '{trade.order_id}' was used by reservation {other.id}"
            yield Refusal("duplicate_order", used, symbol=trade.symbol)
        elif trade.order_id is None and (other.symbol, other.quantity, other.price) == (
            trade.symbol,
            trade.quantity,
            price,
        ):
            yield Refusal(
                "duplicate_order",
                f"the same order was reserved less than {settings.DUPLICATE_ORDER_SECONDS:g} s ago as {other.id}; give "
                "each its own order_id if both are meant",
                symbol=trade.symbol,
            )


def double_in_basket(trades: Sequence[AskedTrade]) -> Iterator[Refusal]:
    seen: set[str] = set()
    for trade in trades:
        if trade.order_id in seen:
            yield Refusal("duplicate_order", f"the order_id '{trade.order_id}' stands twice in the basket")
        if trade.order_id:
            seen.add(trade.order_id)


class Holdings:
    """What trades do to positions one after the other, with what is reserved against them counted as gone.

    `apart`: each of the trades becomes a reservation of its own, so one does not count on another of the other side.
    """

    def __init__(self, positions: Positions, facts: Facts, apart: bool) -> None:
        self._positions = positions
        self._facts = facts
        self._apart = apart
        self._traded: list[Leg] = []

    def add(self, trade: PricedTrade) -> tuple[float, float]:
        """The position before and after: with the reservations on the trade's side, as if they were done."""
        leg = trade.leg
        reserved = [other for other in self._facts.reserved if _same_side(other, leg)]
        traded = [other for other in self._traded if _same_side(other, leg) or not self._apart]
        before = self._positions.held(leg.symbol) + sum(
            other.quantity for other in [*reserved, *traded] if other.symbol == leg.symbol
        )
        self._traded.append(leg)
        return before, before + leg.quantity


def _same_side(one: Leg, other: Leg) -> bool:
    return one.quantity * other.quantity > 0


def only_shrinks(before: float, after: float) -> bool:
    return before * after >= 0 and abs(after) < abs(before)


def position_refusals(trade: PricedTrade, before: float, after: float, facts: Facts) -> Iterator[Refusal]:
    if trading_state(facts) == State.REDUCING and not only_shrinks(before, after):
        yield Refusal(
            "trading_reducing",
            f"only what shrinks a position is approved now; {trade.symbol} would go from {before:.10g} to {after:.10g}",
            symbol=trade.symbol,
        )
    if after < 0 and after < before and not facts.short_selling_allowed:
        yield Refusal(
            "short_sale",
            f"{trade.symbol} would be sold short, from {before:.10g} to {after:.10g}; that is not allowed",
            symbol=trade.symbol,
        )


def cash_refusals(trades: Sequence[PricedTrade], facts: Facts, positions: Positions, apart: bool) -> Iterator[Refusal]:
    """Purchases that hold reservations count as paid, sales as not yet received; at the worse of price and close."""
    if facts.leverage_allowed:
        return
    reserved = sum(positions.cost(leg) for leg in facts.reserved if leg.quantity > 0)
    costs = [positions.cost(trade.leg) for trade in trades]
    cost = sum(each for each in costs if each > 0 or not apart)
    left = facts.cash - reserved - cost
    if cost > 0 and left < 0:
        yield Refusal("cash", f"it costs {cost:.2f} and {facts.cash - reserved:.2f} are free; leverage is not allowed")
