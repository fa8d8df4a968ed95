"""One decision: the strategy's weights become orders."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from django.utils import timezone

from apps.portfolios.matrix import PriceMatrix
from apps.risk.pretrade.orders import AskedTrade
from apps.strategies.asking import Strategies, refuse_gross
from apps.strategies.book import read_book
from apps.strategies.models import Deployment, DeploymentOrder, DeploymentRun
from apps.strategies.running.canary import blended
from apps.strategies.running.checking import refusals
from apps.strategies.running.events import tell_orders, tell_run
from apps.strategies.running.orders import cancel_open_orders, work_after_commit
from apps.strategies.running.words import storable, storable_json
from apps.strategies.sandbox import Answer, BadWeightsError, SandboxError
from apps.strategies.sizing import PlannedOrder, planned_orders, universe_of, valued_on
from apps.strategies.states import write

logger = logging.getLogger(__name__)

Status = DeploymentOrder.Status

_NOTHING = Answer({}, "", 0.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written of a decision; made outside of any transaction, as a strategy may take its time."""

    day: date
    price_version: int
    weights: dict[str, float]
    share: float
    equity: float
    orders: tuple[PlannedOrder, ...]
    printed: str
    error: SandboxError | None = None  # of the version before: no failure of this one


def make_plan(deployment: Deployment, strategies: Strategies, matrix: PriceMatrix, row: int, share: float) -> Plan:
    """Asks the strategy on the row's day, below a share of 1 the one before it as well.

    A failure of that one is not held against this one: its part goes on as it was decided last (stand_in), and the plan
    says so. Raises SandboxError for whatever is wrong with the strategy or its weights, MissingPriceError for a book
    that cannot be valued.
    """
    answer = strategies.ask(deployment, row)
    before, error = _ask_before(deployment, strategies, matrix, row) if share < 1 else (_NOTHING, None)
    weights = blended(answer.weights, before.weights, share)
    refuse_gross(weights)
    book = read_book(deployment.portfolio_id, universe_of(deployment, weights), matrix, row)
    orders = tuple(planned_orders(book, weights))
    printed = answer.printed + before.printed
    return Plan(book.day, matrix.version, weights, share, book.equity, orders, printed, error)


def _ask_before(
    deployment: Deployment, strategies: Strategies, matrix: PriceMatrix, row: int
) -> tuple[Answer, SandboxError | None]:
    """Even that it has no sandbox is its own failure: this machine has just had one for the new version."""
    before = deployment.previous
    if before is None:
        return _NOTHING, None
    try:
        return _ask_priced(before, strategies, matrix, row), None
    except SandboxError as error:
        told = SandboxError(f"{before.pk}, which ran before, failed, and is held as it was last: {error.sentence}")
        logger.warning("%s, a canary: %s", deployment.pk, told.sentence)
        return Answer(stand_in(before, matrix, row), f"{error.printed}{told.detail}\n", 0.0), told


def stand_in(before: Deployment, matrix: PriceMatrix, row: int) -> dict[str, float]:
    """The weights of its last run that succeeded, without what has no close on the row's day; cash where none did."""
    last = before.runs.filter(status=DeploymentRun.Status.SUCCEEDED).order_by("-day").first()
    weights: dict[str, float] = (last.weights or {}) if last else {}
    gone = _unpriced(weights, matrix, row)
    return {symbol: weight for symbol, weight in weights.items() if symbol not in gone}


def _ask_priced(before: Deployment, strategies: Strategies, matrix: PriceMatrix, row: int) -> Answer:
    answer = strategies.ask(before, row)
    if gone := _unpriced(answer.weights, matrix, row):
        named = ", ".join(sorted(gone)[:10])
        raise BadWeightsError(f"It gives a weight to {named}, which has no price on {matrix.dates[row]}.")
    return answer


def _unpriced(weights: Mapping[str, float], matrix: PriceMatrix, row: int) -> set[str]:
    symbols = [symbol for symbol, weight in weights.items() if weight]
    closes = matrix.closes(symbols, np.array([row]))[0]
    return {symbol for symbol, close in zip(symbols, closes, strict=True) if not np.isfinite(close)}


def carry_out(deployment: Deployment, plan: Plan) -> DeploymentRun:
    """Writes the run and its orders, in the stage that holds the deployment; what was still open is cancelled first."""
    cancel_open_orders(deployment.pk, f"the decision of {plan.day} came first")
    run = keep_run(
        deployment,
        plan.day,
        status=DeploymentRun.Status.SUCCEEDED,
        price_version=plan.price_version,
        equity=plan.equity,
        weights=plan.weights,
        share=plan.share,
        error=storable_json(plan.error.as_dict()) if plan.error else None,
        log=storable(plan.printed),
    )
    _keep_orders(deployment, run, plan.orders)
    write(
        deployment,
        first_day=deployment.first_day or plan.day,
        last_day=plan.day,
        failures_in_row=0,
        last_error="",
        last_error_at=None,
    )
    return run


def keep_run(deployment: Deployment, day: date, **fields: object) -> DeploymentRun:
    """The day's row, new or tried once more; the caller holds the deployment."""
    run = DeploymentRun.objects.filter(deployment=deployment, day=day).first()
    if run is None:
        run = DeploymentRun.objects.create(deployment=deployment, day=day, **fields)
    else:
        write(run, attempts=run.attempts + 1, **fields)
    tell_run(run)
    return run


def _keep_orders(deployment: Deployment, run: DeploymentRun, planned: Sequence[PlannedOrder]) -> None:
    asked = [AskedTrade(order.symbol, order.quantity) for order in planned]
    refused = refusals(deployment.portfolio_id, asked, valued_on(deployment, run.day))
    orders = [_as_row(deployment, run, order, refused.get(place)) for place, order in enumerate(planned)]
    DeploymentOrder.objects.bulk_create(orders)
    tell_orders(orders)
    if orders:
        work_after_commit(deployment.pk)


def _as_row(
    deployment: Deployment, run: DeploymentRun, order: PlannedOrder, reasons: list[str] | None
) -> DeploymentOrder:
    return DeploymentOrder(
        run=run,
        deployment=deployment,
        instrument_id=order.symbol,
        quantity=order.quantity,
        decided_price=order.close,
        status=Status.OPEN if reasons is None else Status.REFUSED,
        reasons=reasons or [],
        ended_at=None if reasons is None else timezone.now(),
    )
