"""Open orders become trades: as the broker says, and where it only simulates, as far as the check approves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from django.utils import timezone

from apps.portfolios.booking import lock_portfolio
from apps.portfolios.ledger import book_trade
from apps.portfolios.matrix import PriceMatrix
from apps.portfolios.models import Instrument, Trade
from apps.risk.pretrade.orders import AskedTrade
from apps.strategies.brokers import Broker, Fill, Market
from apps.strategies.models import Deployment, DeploymentOrder
from apps.strategies.running.checking import Refused, refusals
from apps.strategies.running.orders import as_open, end_order, open_orders, order_name

Status = DeploymentOrder.Status

# A daily close has no time of its own: as in the API's examples, and in winter, New York's.
CLOSE = time(21, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Filling:
    """One day of a deployment that the caller holds."""

    deployment: Deployment
    broker: Broker
    market: Market

    def fill(self) -> int:
        """Books what is filled of the orders decided before the day, sales first; answers how many trades that is."""
        orders = list(open_orders(self.deployment.pk).filter(run__day__lt=self.market.day))
        fills = self.broker.fills(self.deployment.pk, [as_open(order) for order in orders], self.market)
        by_id = {order.pk: order for order in orders}
        filled = [(by_id.get(fill.order_id) or self._ended(fill), fill) for fill in fills]
        refused = self._refused(filled) if self.broker.simulated else {}
        return sum(self._book(*each, refused.get(place)) for place, each in enumerate(filled))

    def _ended(self, fill: Fill) -> DeploymentOrder:
        """Cancelled here before the broker's fill was told, which has happened all the same."""
        return DeploymentOrder.objects.select_related("run").get(pk=fill.order_id, deployment=self.deployment)

    def _refused(self, filled: Sequence[tuple[DeploymentOrder, Fill]]) -> Refused:
        """What the check says against the day's fills, by place: they are one basket, as they were when decided.

        Nothing is reserved: whoever reserves or books holds the portfolio's row first, and here it is held from before
        the check until the fills are booked, in the same transaction. Reservations would be each by itself, so that no
        sale could pay for a purchase, and no position hedge another.
        """
        if not filled:
            return {}
        lock_portfolio(self.deployment.portfolio_id)
        instruments = Instrument.objects.in_bulk([order.instrument_id for order, _ in filled])
        asked = [_asked(order, fill, instruments[order.instrument_id].price_tick) for order, fill in filled]
        return refusals(self.deployment.portfolio_id, asked, self.market.day)

    def _book(self, order: DeploymentOrder, fill: Fill, reasons: list[str] | None) -> bool:
        if reasons is not None:
            end_order(order, Status.REFUSED, reasons=reasons)
            return False
        trade = self._trade(order, fill)
        if trade is not None and not fill.leaves and order.status == Status.OPEN:
            end_order(order, Status.FILLED, trade=trade)
        return trade is not None

    def _trade(self, order: DeploymentOrder, fill: Fill) -> Trade | None:
        """None where this fill was booked before."""
        portfolio_id, name = self.deployment.portfolio_id, _trade_name(order, fill)
        if Trade.objects.filter(portfolio=portfolio_id, external_id=name).exists():
            return None
        when = fill.traded_at or traded_at(self.market.day)
        return book_trade(portfolio_id, order.instrument_id, fill.quantity, fill.price, when, external_id=name)


def market_of(deployment: Deployment, symbols: list[str], matrix: PriceMatrix, row: int) -> Market:
    """The closes of the row's day of these symbols."""
    closes = matrix.closes(symbols, np.array([row]))[0]
    known = {symbol: float(close) for symbol, close in zip(symbols, closes, strict=True) if np.isfinite(close)}
    return Market(matrix.dates[row].item(), known, deployment.cost_rate)


def traded_at(day: date) -> datetime:
    """The day's close; now, where closes came before that: nothing is booked in the future."""
    return min(datetime.combine(day, CLOSE), timezone.now())


def _trade_name(order: DeploymentOrder, fill: Fill) -> str:
    name = order_name(order)
    return f"{name}/{fill.name}" if fill.name else name


def _asked(order: DeploymentOrder, fill: Fill, tick: Decimal | None) -> AskedTrade:
    return AskedTrade(order.instrument_id, fill.quantity, _limit_price(fill, tick), _trade_name(order, fill))


def _limit_price(fill: Fill, tick: Decimal | None) -> Decimal:
    """What an order would be sent with: the price, on the symbol's tick where it has one, on the side that costs more.

    A fill is a close with costs in it, and lies on no tick.
    """
    if not tick:
        return fill.price
    ticks = (fill.price / tick).to_integral_value(ROUND_CEILING if fill.quantity > 0 else ROUND_FLOOR)
    return max(ticks * tick, tick)
