"""Strategies and deployments for tests of the API: versions by the operations, deployments as rows in any state."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.utils import timezone

from apps.portfolios.models import Instrument, Portfolio
from apps.strategies.models import (
    IN_PIPELINE,
    Deployment,
    DeploymentOrder,
    DeploymentRun,
    DeploymentStep,
    StrategyVersion,
)
from apps.strategies.strategies import create_strategy
from apps.strategies.versions import post_version

URL = "/api/v1/sprint3/strategy"

EQUAL_WEIGHT = """\
def target_weights(prices, params):
    share = params["gross"] / len(prices.columns)
    return {symbol: share for symbol in prices.columns}
"""
PARAMETERS = {"gross": 1.0}


def make_versions(strategy_id: str = "STRATEGY_001", count: int = 1, user: Any = None) -> list[StrategyVersion]:
    """A strategy whose versions follow each other: gross 1.0, 0.5, 0.25, …; the first one first."""
    create_strategy(name="Equal weight", strategy_id=strategy_id, user=user)
    return [
        post_version(
            strategy_id,
            parent_version=number or None,
            code=EQUAL_WEIGHT,
            parameters={"gross": 0.5**number},
            message=f"gross {0.5**number}",
            user=user,
        )
        for number in range(count)
    ]


def make_deployment(
    version: StrategyVersion, portfolio: Portfolio, deployment_id: str = "DEPLOY_001", **fields: Any
) -> Deployment:
    """A row with its steps, as the pipeline leaves them; active unless `status` says another."""
    status = fields.setdefault("status", "active")
    fields.setdefault("activated_at", timezone.now() if status == "active" else None)
    ended = status in ("failed", "superseded", "rolled_back")
    fields.setdefault("ended_at", timezone.now() if ended else None)
    deployment = Deployment.objects.create(
        id=deployment_id,
        strategy=version.strategy,
        version=version,
        version_hash=version.hash,
        portfolio=portfolio,
        **{"environment": "paper", "symbols": ["AAA", "BBB"], "cost_bps": 5.0, **fields},
    )
    _make_steps(deployment)
    return deployment


def _make_steps(deployment: Deployment) -> None:
    live = ["approval"] if deployment.environment == "live" else []
    names = ["validate", "backtest", "risk", *live, "activate"]
    waits = deployment.status == "awaiting_approval"
    done = names.index("approval") if waits else 0 if deployment.status in IN_PIPELINE else len(names)
    for position, name in enumerate(names):
        ended = {"status": "succeeded", "finished_at": timezone.now()} if position < done else {"status": "pending"}
        DeploymentStep.objects.create(
            deployment=deployment, name=name, position=position, log=f"{name} was here\n", result={"n": 1}, **ended
        )


def make_run(deployment: Deployment, day: date, **fields: Any) -> DeploymentRun:
    defaults = {"status": "succeeded", "price_version": 1, "equity": 1_000.0, "weights": {"AAA": 0.5, "BBB": 0.5}}
    return DeploymentRun.objects.create(deployment=deployment, day=day, **{**defaults, **fields})


def make_order(run: DeploymentRun, symbol: str = "AAA", quantity: int = 10, **fields: Any) -> DeploymentOrder:
    return DeploymentOrder.objects.create(
        run=run,
        deployment=run.deployment,
        instrument=Instrument.objects.get_or_create(symbol=symbol)[0],
        quantity=Decimal(quantity),
        **{"decided_price": 10.0, **fields},
    )


def errors_of(answer: Any) -> list[tuple[str, str | None]]:
    return [(error["code"], error["attr"]) for error in answer.json()["errors"]]


def detail_of(answer: Any) -> str:
    return str(answer.json()["errors"][0]["detail"])
