"""Deployments for tests: strategies of a few lines, prices that wander, and the pipeline as a worker runs it."""

from contextlib import nullcontext
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import numpy as np
from django.db import transaction
from django.utils import timezone

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_user
from apps.strategies.activation import activate
from apps.strategies.deployments import submit_deployment
from apps.strategies.models import Deployment, Strategy, StrategyVersion
from apps.strategies.pipeline.job import run_deploy
from apps.strategies.states import hold_deployment
from apps.strategies.strategies import create_strategy
from apps.strategies.versions import post_version
from apps.tasks.execution import Job, execute, take
from apps.tasks.models import Task
from apps.tasks.submission import cancel_task

DAYS = 40
HALVES = "def target_weights(prices, params):\n    return {'AAA': params['share'], 'BBB': params['share']}\n"
TREND = (
    "def target_weights(prices, params):\n"
    "    change = prices.iloc[-1] / prices.iloc[-min(len(prices), 5)] - 1\n"
    "    return {symbol: 0.45 if change[symbol] > 0 else 0.1 for symbol in prices.columns}\n"
)


class Broker:
    """A live broker as far as a pipeline asks for one."""

    name, simulated = "test", False

    def work(self, deployment_id, orders):
        pass

    def fills(self, deployment_id, orders, market):
        return []


LIVE = f"{__name__}.Broker"


def wandering(seed: int, days: int = DAYS, drift: float = 0.004, start: float = 100.0) -> list[float]:
    moves = np.random.default_rng(seed).normal(drift, 0.01, days - 1)
    return [round(float(close), 4) for close in start * np.cumprod([1.0, *(1.0 + moves)])]


def make_wandering_prices(days: int = DAYS, **fields: Any) -> None:
    make_prices({"AAA": wandering(1, days), "BBB": wandering(2, days)}, **fields)


def make_version(
    code: str = HALVES, parameters: dict[str, Any] | None = None, strategy: Strategy | None = None, user: Any = None
) -> StrategyVersion:
    """The next version of a strategy, on its head."""
    strategy = strategy or create_strategy(name="A strategy")
    strategy.refresh_from_db()
    head = strategy.head
    return post_version(
        strategy.pk,
        parent_version=head.version if head else None,
        code=code,
        parameters={"share": 0.4} if parameters is None else parameters,
        message="as a test wants it",
        user=user or make_user("strategist"),
    )


def make_paper(portfolio_id: str | None = None, cash: int = 100_000) -> Portfolio:
    return make_portfolio(portfolio_id, initial_cash=cash)


def ask(version: StrategyVersion, portfolio: Portfolio, **fields: Any) -> tuple[Deployment, Task]:
    """As POST /strategy/deploy; its task waits for a worker."""
    defaults = {"environment": "paper", "user": make_user("strategist"), "schedule": "daily"}
    return submit_deployment(
        strategy_id=version.strategy_id, version=version.version, portfolio=portfolio, **{**defaults, **fields}
    )


def work(task: Task, worker: str = "w1") -> Task:
    """The task as a worker does it; nothing where it is not free.

    Without its lease, which is kept by another connection: that one does not see what a test has not committed.
    """
    job = take(str(task.pk), worker)
    if job is not None:
        with patch("apps.tasks.execution.Lease", lambda *_: nullcontext()):
            execute(job, run_deploy)
    task.refresh_from_db()
    return task


def taken_over(task: Task, worker: str = "w2") -> Job:
    """By another worker, as after the first one's lease has run out."""
    Task.objects.filter(pk=task.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    job = take(str(task.pk), worker)
    assert job is not None
    return job


def deploy(version: StrategyVersion, portfolio: Portfolio, **fields: Any) -> Deployment:
    """Asked for and taken through the pipeline."""
    deployment, task = ask(version, portfolio, **fields)
    work(task)
    deployment.refresh_from_db()
    return deployment


def make_active(version: StrategyVersion, portfolio: Portfolio, **fields: Any) -> Deployment:
    """Active as if it had come through the pipeline, and what ran before superseded; no sandbox is started."""
    deployment, task = ask(version, portfolio, **fields)
    cancel_task(task.pk)
    deployment.steps.update(status="succeeded", started_at=timezone.now(), finished_at=timezone.now())
    Deployment.objects.filter(pk=deployment.pk).update(status="backtesting")
    with transaction.atomic():
        activate(hold_deployment(deployment.pk))
    deployment.refresh_from_db()
    return deployment


def steps_of(deployment: Deployment) -> dict[str, str]:
    return dict(deployment.steps.values_list("name", "status"))
