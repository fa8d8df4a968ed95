"""Deployments that are active on a small book, and what running them leaves."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.db.models import F
from django.utils import timezone

from apps.portfolios.models import Portfolio, PriceVersion, Trade
from apps.portfolios.tests.factories import INCEPTION, make_portfolio, make_prices
from apps.risk.models import RiskLimit
from apps.risk.tests.desks import make_limit
from apps.strategies.kinds import RUN
from apps.strategies.models import Deployment, DeploymentOrder, Environment, Strategy, StrategyVersion
from apps.strategies.running.calendar import GRACE_SECONDS
from apps.strategies.running.due import RETRY_SECONDS
from apps.strategies.running.job import run_deployment
from apps.strategies.sandbox import Answer, BadWeightsError
from apps.tasks.execution import Job
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

# Every test that runs deployments wants these: short windows, no clock between two orders, and none too small: the
# books are of 1,000.
RUNNING_SETTINGS = {"LIMIT_WINDOW_DAYS": 2, "DUPLICATE_ORDER_SECONDS": 0.0, "STRATEGY_MIN_NOTIONAL": 0.0}

FIXED = """
def target_weights(prices, params):
    return dict(params["weights"])
"""

# Of what rose over the last days: with each weight as long as the symbol has a close.
MOMENTUM = """
def target_weights(prices, params):
    known = prices.ffill()
    moves = (known.iloc[-1] / known.iloc[-min(len(known), params["days"])] - 1.0).fillna(0.0)
    scores = (1.0 + 10.0 * moves).clip(lower=0.1).where(prices.iloc[-1].notna(), 0.0)
    return (scores / scores.sum() * params["gross"]).to_dict()
"""

ALL_IN = {"weights": {"AAA": 1.0}}

BROKEN = """
def target_weights(prices, params):
    raise RuntimeError("the third input is missing")
"""

_numbers = count(1)


def make_version(code: str = FIXED, parameters: Mapping[str, Any] | None = None) -> StrategyVersion:
    """The first version of a strategy of its own."""
    text = json.dumps(dict(parameters or {}), sort_keys=True)
    strategy = Strategy.objects.create(id=f"STRATEGY_{next(_numbers):03d}", name="A strategy")
    digest = hashlib.sha256(f"{strategy.pk} {code} {text}".encode()).hexdigest()
    return StrategyVersion.objects.create(
        strategy=strategy, version=1, hash=digest, code=code, parameters_text=text, author="test"
    )


def make_active(
    portfolio: Portfolio,
    code: str = FIXED,
    parameters: Mapping[str, Any] | None = None,
    symbols: Iterable[str] = ("AAA", "BBB"),
    **fields: Any,
) -> Deployment:
    """Active as activation.py leaves it; it replays from the inception on where nothing else is said."""
    version = make_version(code, {"weights": {"AAA": 0.5, "BBB": 0.3}} if parameters is None else parameters)
    defaults = {
        "start_date": INCEPTION,
        "cost_bps": 10.0,
        "environment": Environment.PAPER,
        "status": Deployment.Status.ACTIVE,
        "activated_at": timezone.now(),
    }
    return Deployment.objects.create(
        id=f"DEPLOY_{next(_numbers):03d}",
        strategy=version.strategy,
        version=version,
        version_hash=version.hash,
        portfolio=portfolio,
        symbols=sorted(symbols),
        **{**defaults, **fields},
    )


def all_in(closes: list[float | None], **fields: Any) -> Deployment:
    """All of the equity in AAA, bought at the second close and kept, without costs."""
    make_prices({"AAA": closes})
    fields = {"schedule": "monthly", "cost_bps": 0.0, **fields}
    return make_active(make_portfolio(), parameters=ALL_IN, symbols=["AAA"], **fields)


def breach(deployment: Deployment, **fields: Any) -> RiskLimit:
    """A limit as the monitor has just seen it in breach."""
    seen = timezone.now() + timedelta(seconds=1)
    how = {"status": "breach", "current_value": 950.0, "evaluated_at": seen, "status_since": seen, **fields}
    return make_limit(deployment.portfolio, how.pop("kind", "gross_exposure"), 900.0, **how)


def pass_grace() -> None:
    """As if everything had been imported long ago: what the newest day lacks does not come any more."""
    PriceVersion.objects.update(created_at=timezone.now() - timedelta(seconds=GRACE_SECONDS + 1))


def pass_retry(deployment: Deployment) -> None:
    """As if RETRY_SECONDS had passed since it failed."""
    earlier = timedelta(seconds=RETRY_SECONDS + 1)
    Deployment.objects.filter(pk=deployment.pk).update(last_error_at=F("last_error_at") - earlier)
    Task.objects.filter(kind=RUN, status=Task.Status.FAILED).update(finished_at=F("finished_at") - earlier)


def run(deployment: Deployment) -> dict[str, Any]:
    """One task of the deployment; its result."""
    task = make_task(RUN, {"deployment_id": deployment.pk}, portfolio_id=deployment.portfolio_id)
    status = Task.Status.FAILED
    try:
        result = run_deployment(Job(task)).result
        status = Task.Status.SUCCEEDED
        return result
    finally:
        Task.objects.filter(pk=task.pk).update(status=status, finished_at=timezone.now())
        deployment.refresh_from_db()


def orders_of(deployment: Deployment) -> list[tuple[str, str, float, str]]:
    """(day, symbol, quantity, status) in the order of their rows."""
    orders = DeploymentOrder.objects.filter(deployment=deployment).select_related("run").order_by("pk")
    return [(str(order.run.day), order.instrument_id, float(order.quantity), order.status) for order in orders]


def trades_of(portfolio: Portfolio) -> list[tuple[str, str, Decimal, Decimal]]:
    """(day, symbol, quantity, price) in the order of booking."""
    trades = Trade.objects.filter(portfolio=portfolio).order_by("pk")
    return [(str(each.traded_at.date()), each.instrument_id, each.quantity, each.price) for each in trades]


def book_of(portfolio: Portfolio) -> dict[str, Any]:
    """What a run leaves of a portfolio: its cash, its positions and how its orders ended, without names and times."""
    portfolio.refresh_from_db()
    orders = DeploymentOrder.objects.filter(deployment__portfolio=portfolio).order_by("run__day", "pk")
    return {
        "cash": portfolio.cash,
        "positions": dict(portfolio.positions.values_list("instrument_id", "quantity")),
        "trades": trades_of(portfolio),
        "orders": list(orders.values_list("run__day", "instrument_id", "quantity", "status")),
    }


class SandboxInHere:
    """Stands in where a test starts hundreds: the same interface, in this process; test_sandbox.py has the real one."""

    def __init__(self, code: str, params: dict[str, Any], symbols: Iterable[str], limits: Any) -> None:
        self._params, self._code = params, code

    def __enter__(self) -> "SandboxInHere":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def feed(self, dates: Any, closes: Any) -> None:
        pass

    def target_weights(self) -> Answer:
        if self._code != FIXED:
            raise BadWeightsError("This stand-in only takes weights from parameters.")
        return Answer(dict(self._params["weights"]), "", 0.0)
