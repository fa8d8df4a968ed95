"""One decision: the strategy's weights become orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

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
from apps.strategies.running.words import storable
from apps.strategies.sandbox import Answer
from apps.strategies.sizing import PlannedOrder, planned_orders, universe_of, valued_on
from apps.strategies.states import write

Status = DeploymentOrder.Status


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


def make_plan(deployment: Deployment, strategies: Strategies, matrix: PriceMatrix, row: int, share: float) -> Plan:
    """Asks the strategy on the row's day, below a share of 1 the one before it as well.

    Raises SandboxError for whatever is wrong with the strategy or its weights, MissingPriceError for a book that cannot
    be valued.
    """
    answer = strategies.ask(deployment, row)
    before = _ask_before(deployment, strategies, row) if share < 1 else Answer({}, "", 0.0)
    weights = blended(answer.weights, before.weights, share)
    refuse_gross(weights)
    book = read_book(deployment.portfolio_id, universe_of(deployment, weights), matrix, row)
    orders = tuple(planned_orders(book, weights))
    return Plan(book.day, matrix.version, weights, share, book.equity, orders, answer.printed + before.printed)


def _ask_before(deployment: Deployment, strategies: Strategies, row: int) -> Answer:
    before = deployment.previous
    return Answer({}, "", 0.0) if before is None else strategies.ask(before, row)


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
        error=None,
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
