"""The broker of paper portfolios: whole orders, at the day's close, with costs; by the rules of a backtest."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from apps.strategies.brokers import Fill, Market, OpenOrder
from apps.strategies.kernels.rebalancing import fill_prices

# A price is kept with 8 places, and is above zero.
_LEAST_PRICE = Decimal("0.00000001")


class PaperBroker:
    name = "paper"
    simulated = True

    def work(self, deployment_id: str, orders: Sequence[OpenOrder]) -> None:
        """Nothing: the orders' rows are all there is."""

    def fills(self, deployment_id: str, orders: Sequence[OpenOrder], market: Market) -> Sequence[Fill]:
        """A fill for each order whose symbol has a close on the day."""
        return [_fill(order, market) for order in orders if order.symbol in market.closes]


def _fill(order: OpenOrder, market: Market) -> Fill:
    close = np.array([market.closes[order.symbol]])
    price = fill_prices(np.array([float(order.quantity)]), close, market.cost_rate)[0]
    return Fill(order.id, order.quantity, max(round(Decimal(repr(float(price))), 8), _LEAST_PRICE))
