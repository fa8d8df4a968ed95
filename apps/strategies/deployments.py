"""Asking for a deployment and approving it."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.portfolios.booking import refuse_closed
from apps.portfolios.models import Portfolio
from apps.strategies.access import check_may_approve
from apps.strategies.activation import activate, refuse_moved_book, refuse_other_environment, refuse_what_cannot_run
from apps.strategies.brokers import broker_for
from apps.strategies.errors import BadStartDateError, DeploymentStateError, DeploymentUnderWayError
from apps.strategies.kinds import DEPLOY
from apps.strategies.models import Deployment, DeploymentStep, Environment, Schedule, StrategyVersion
from apps.strategies.numbering import next_id
from apps.strategies.states import Step, hold_deployment, tell, under_way, with_line, write
from apps.strategies.universe import chosen_symbols
from apps.strategies.versions import get_version
from apps.tasks.models import Task
from apps.tasks.submission import submit_task

Status = Deployment.Status

# Ids are given one after the other, or two callers would be given the same.
_DEPLOYING_LOCK = 0x6E617574_05


@transaction.atomic
def submit_deployment(
    *,
    strategy_id: str,
    version: int,
    portfolio: Portfolio,
    environment: str,
    user: Any,
    schedule: str = Schedule.DAILY,
    symbols: Iterable[str] | None = None,
    cost_bps: float | None = None,
    start_date: date | None = None,
    canary: dict[str, Any] | None = None,
) -> tuple[Deployment, Task]:
    """A deployment on its way, and the task that brings it there.

    Raises VersionNotFoundError, PortfolioClosedError, NoBrokerError, UnknownSymbolsError, BadStartDateError,
    DeploymentUnderWayError.
    """
    found = get_version(strategy_id, version)
    refuse_closed(portfolio)
    broker_for(environment)
    refuse_other_environment(portfolio.pk, environment)
    _check_start(start_date, portfolio, environment)
    deployment = make_deployment(
        found,
        portfolio,
        environment,
        user,
        schedule=schedule,
        symbols=chosen_symbols(portfolio, symbols),
        cost_bps=settings.STRATEGY_COST_BPS if cost_bps is None else cost_bps,
        start_date=start_date,
        canary_share=canary and canary["share"],
        canary_days=canary and canary["days"],
    )
    return deployment, submit_pipeline(deployment, user)


def _check_start(start: date | None, portfolio: Portfolio, environment: str) -> None:
    if start is None:
        return
    if environment != Environment.PAPER:
        raise BadStartDateError(
            f"'{environment}' trades from now on: it has no start_date.",
            "Leave it out, or deploy to paper.",
            "start_date",
        )
    if not portfolio.inception_date <= start <= timezone.now().date():
        raise BadStartDateError(
            f"{start} is not between {portfolio.inception_date}, when {portfolio.pk} began, and today.",
            "Name a day between them.",
            "start_date",
        )
    refuse_moved_book(portfolio, start)


def make_deployment(
    version: StrategyVersion, portfolio: Portfolio, environment: str, user: Any, **fields: Any
) -> Deployment:
    """The row with its steps, all pending; in the caller's transaction. Raises DeploymentUnderWayError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_DEPLOYING_LOCK])
    if other := under_way(portfolio.pk, environment):
        raise DeploymentUnderWayError(
            f"{other.pk} is on its way to {portfolio.pk} ({environment}) already: it is {other.status}.",
            f"Wait for its end, or roll {other.pk} back first.",
        )
    deployment = Deployment.objects.create(
        id=next_id(Deployment, "DEPLOY_"),
        strategy=version.strategy,
        version=version,
        version_hash=version.hash,
        portfolio=portfolio,
        environment=environment,
        created_by=user if getattr(user, "pk", None) else None,
        **fields,
    )
    _make_steps(deployment)
    tell(deployment, "deployment.asked")
    return deployment


def _make_steps(deployment: Deployment) -> None:
    skipped = {"backtest"} if deployment.skip_backtest else set()
    live = deployment.environment == Environment.LIVE
    names: Sequence[str] = ["validate", "backtest", "risk", *(["approval"] if live else []), "activate"]
    # What ran here before was approved before: nobody has to be found for it at night.
    ran = deployment.rolls_back and last_run_of(deployment.version, deployment)
    skipped |= {"approval"} if ran else set()
    DeploymentStep.objects.bulk_create(
        DeploymentStep(
            deployment=deployment,
            name=name,
            position=position,
            status=Step.SKIPPED if name in skipped else Step.PENDING,
            log=with_line("", "skipped: a rollback") if name in skipped else "",
        )
        for position, name in enumerate(names)
    )


def last_run_of(version: StrategyVersion, where: Deployment) -> Deployment | None:
    """The version's last deployment that was active on the same portfolio and environment, and was not stopped there.

    One that was rolled back, by somebody or by the platform, is no proof that it may run.
    """
    there = Deployment.objects.filter(version=version, portfolio=where.portfolio_id, environment=where.environment)
    return there.filter(activated_at__isnull=False).exclude(status=Status.ROLLED_BACK).order_by("-activated_at").first()


def submit_pipeline(deployment: Deployment, user: Any, **more: Any) -> Task:
    inputs = {
        "deployment_id": deployment.pk,
        "strategy_id": deployment.strategy_id,
        "version": deployment.version.version,
        "environment": deployment.environment,
        **more,
    }
    task = submit_task(DEPLOY, inputs, user=user, portfolio_id=deployment.portfolio_id)
    write(deployment, task_id=task.pk)
    return task


@transaction.atomic
def approve_deployment(deployment_id: str, user: Any) -> Deployment:
    """Makes one active that waits for it.

    Raises PermissionDenied, OwnDeploymentError, DeploymentStateError for one that does not wait or was checked too long
    ago, NoBrokerError, PortfolioClosedError.
    """
    deployment = hold_deployment(deployment_id)
    check_may_approve(user, deployment)
    if deployment.status != Status.AWAITING_APPROVAL:
        raise DeploymentStateError(
            f"{deployment.pk} is {deployment.status}: there is nothing to approve.",
            f"Only a deployment that is {Status.AWAITING_APPROVAL} can be approved.",
        )
    refuse_what_cannot_run(deployment)
    _refuse_old_check(deployment)
    now = timezone.now()
    write(deployment, approved_by=user, approved_at=now)
    for name, line in (("approval", f"approved by {user}"), ("activate", f"active since {user} approved it")):
        step = deployment.steps.get(name=name)
        begun = step.started_at or now
        write(step, status=Step.SUCCEEDED, started_at=begun, finished_at=now, log=with_line(step.log, line))
    activate(deployment)
    return deployment


def _refuse_old_check(deployment: Deployment) -> None:
    """Limits, positions and prices go on while somebody is waited for."""
    checked_at = deployment.steps.get(name="risk").finished_at
    hours = settings.APPROVAL_HOURS
    assert checked_at is not None  # the approval's step comes after it
    if timezone.now() - checked_at > timedelta(hours=hours):
        raise DeploymentStateError(
            f"{deployment.pk} was held against the limits at {checked_at:%Y-%m-%dT%H:%M:%SZ}, over {hours} h ago.",
            f"Roll {deployment.pk} back and deploy its version anew (NAUTILUS_APPROVAL_HOURS).",
        )
