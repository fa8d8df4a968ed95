"""Who fills the orders of a deployment. The runner (running/) knows the Protocol below, and no broker by name.

What it does with one, for each deployment:

- `work(deployment_id, orders)`: whenever its open orders may have changed, and at the start of each run, it says all
  that are open. A broker sends what it does not have yet and cancels what it has and is not named any more. To say the
  same twice must do nothing, so that a worker that is killed between our commit and the call loses nothing: the next
  run says it again. `OpenOrder.name` is the id that a broker is sent (FIX: ClOrdID), the same at each call.
- `fills(deployment_id, orders, market)`: what has been filled since. A fill may come at any time, be of a part of its
  order, and be told more than once: `Fill.name` tells two fills of an order apart (FIX: ExecID), and one that is booked
  already is not booked again. `Fill.leaves` is what is open after it (FIX: LeavesQty): at 0 the order is filled. A fill
  of an order that we have cancelled meanwhile is booked, too: it has happened.
- `simulated`: whether fills are proposals, made from recorded closes. Then the pre-trade check is asked once more, with
  the portfolio held, before one is booked, and the runner looks only where there is a new close. Fills of a real
  broker have happened: they are booked as they are, and it is asked as long as anything is open.

To add one is a class with these three, and `NAUTILUS_LIVE_BROKER` set to its dotted path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from apps.strategies.errors import NoBrokerError
from apps.strategies.models import Environment

__all__ = ["Broker", "Fill", "Market", "OpenOrder", "broker_for"]


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """`id` is our row's, `name` the broker's key for it; `quantity` in units, negative to sell."""

    id: int
    name: str
    symbol: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Market:
    """The closes of a trading day by symbol, without those that have none, and the costs as a fraction of a price."""

    day: date
    closes: Mapping[str, float]
    cost_rate: float


@dataclass(frozen=True, slots=True)
class Fill:
    """`quantity` has the sign of the order; `price` has the costs in it. Without `traded_at` it is the day's close.

    `name` is empty where an order is filled at once, as a whole.
    """

    order_id: int
    quantity: Decimal
    price: Decimal
    leaves: Decimal = Decimal(0)
    name: str = ""
    traded_at: datetime | None = None


class Broker(Protocol):
    name: str
    simulated: bool

    def work(self, deployment_id: str, orders: Sequence[OpenOrder]) -> None: ...

    def fills(self, deployment_id: str, orders: Sequence[OpenOrder], market: Market) -> Sequence[Fill]: ...


def broker_for(environment: str) -> Broker:
    """Raises NoBrokerError where none is set, or the one that is set cannot be had."""
    if environment == Environment.PAPER:
        from apps.strategies.brokers.paper import PaperBroker

        return PaperBroker()
    return _live_broker(settings.LIVE_BROKER)


def _live_broker(path: str) -> Broker:
    if not path:
        raise NoBrokerError(
            "There is no broker for 'live' deployments: NAUTILUS_LIVE_BROKER is not set.",
            "Deploy to 'paper', or have the operator set it to the dotted path of a broker (docs/strategies.md).",
            "environment",
        )
    try:
        broker = import_string(path)()
    except Exception as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from error
    missing = [name for name in ("name", "simulated", "work", "fills") if not hasattr(broker, name)]
    if missing:
        raise _unusable(path, f"it has no {', '.join(missing)}")
    live: Broker = broker
    return live


def _unusable(path: str, why: str) -> NoBrokerError:
    return NoBrokerError(
        f"The broker '{path}' of NAUTILUS_LIVE_BROKER cannot be used: {why}.",
        "Set it to the dotted path of a class as apps/strategies/brokers/__init__.py describes.",
        "environment",
    )
