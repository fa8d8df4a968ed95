"""A share of the portfolio first: what a new version asks for, mixed with what the one before it asks for.

Where the one before fails, its part is what it asked for last (deciding.py).
"""

from collections.abc import Mapping
from datetime import date

from apps.portfolios.matrix import PriceMatrix
from apps.strategies.models import Deployment, DeploymentRun
from apps.strategies.running.calendar import rows_between


def share_on(deployment: Deployment, matrix: PriceMatrix, day: date) -> float:
    """Of the portfolio, on a trading day: the canary's share for `canary_days` of them from `first_day` on, then 1."""
    if deployment.canary_share is None or deployment.canary_days is None:
        return 1.0
    passed = 0 if deployment.first_day is None else len(rows_between(deployment, matrix, deployment.first_day, day))
    return deployment.canary_share if passed < deployment.canary_days else 1.0


def is_released(share: float, last: DeploymentRun | None) -> bool:
    """Whether the rest is to follow now: the last decision was of a canary that is over."""
    return last is not None and last.share < share


def blended(own: Mapping[str, float], before: Mapping[str, float], share: float) -> dict[str, float]:
    """By symbol: share x own + (1 - share) x before, without zeros; nothing before it leaves the rest in cash."""
    symbols = sorted({*own, *before})
    weights = {symbol: share * own.get(symbol, 0.0) + (1.0 - share) * before.get(symbol, 0.0) for symbol in symbols}
    return {symbol: weight for symbol, weight in weights.items() if weight}
