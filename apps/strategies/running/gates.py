"""What an active deployment must not do: lose too much, breach a limit that blocks, fail again and again."""

import logging
from datetime import date

import numpy as np
from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from apps.portfolios.matrix import load_current_matrix
from apps.portfolios.models import Portfolio
from apps.risk.limit_kinds import LIMIT_KINDS, BookKind
from apps.risk.models import RiskLimit
from apps.risk.monitoring import in_force
from apps.strategies.models import Deployment
from apps.strategies.rollback import roll_back_by_itself
from apps.strategies.running.drawdown import fall_since
from apps.strategies.running.failures import too_many_failures
from apps.strategies.universe import trading_rows

logger = logging.getLogger(__name__)


def watch_deployments() -> list[str]:
    """Rolls back every active deployment that has broken a gate; answers their ids.

    One that cannot be looked at is logged and does not stop the others.
    """
    active = Deployment.objects.filter(status=Deployment.Status.ACTIVE).select_related("portfolio").order_by("pk")
    return [deployment.pk for deployment in active if _is_rolled_back(deployment)]


def _is_rolled_back(deployment: Deployment) -> bool:
    try:
        reason = broken_gate(deployment)
        if reason is not None:
            roll_back_by_itself(deployment.pk, reason)
    except Exception:
        logger.exception("%s could not be watched", deployment.pk)
        return False
    return reason is not None


def broken_gate(deployment: Deployment, day: date | None = None) -> str | None:
    """The first that is broken, in words and with its values; None where all hold.

    `day` is how far it has come, by default its `last_day`: what its book would do on recorded days that it has not
    dealt with yet says nothing. Nor does a breach in the middle of a replay: the monitor takes the book of a day long
    ago at the closes of now.
    """
    until = day or deployment.last_day
    broken = _closed(deployment) or too_many_failures(deployment) or _too_deep(deployment, until)
    return broken or (None if _replays(deployment, until) else _breach(deployment))


def _closed(deployment: Deployment) -> str | None:
    closed_at = deployment.portfolio.closed_at
    return None if closed_at is None else f"{deployment.portfolio_id} was closed at {closed_at:%Y-%m-%dT%H:%M:%SZ}"


def _too_deep(deployment: Deployment, until: date | None) -> str | None:
    if deployment.first_day is None or until is None:
        return None
    portfolio = Portfolio.objects.get(pk=deployment.portfolio_id)
    fall = fall_since(portfolio, deployment.first_day, until)
    if fall <= settings.LIVE_MAX_DRAWDOWN:
        return None
    return (
        f"drawdown of {fall:.2%} since {deployment.first_day}, up to {until}; at most"
        f" {settings.LIVE_MAX_DRAWDOWN:.2%} is allowed (NAUTILUS_LIVE_MAX_DRAWDOWN)"
    )


def _replays(deployment: Deployment, until: date | None) -> bool:
    """Whether it goes through days of before its activation, and the newest one is still to come.

    A deployment that only waits for its next run is none: what it holds is what it is worth now.
    """
    if deployment.start_date is None or deployment.activated_at is None:
        return False
    if until is None:
        return True
    matrix = load_current_matrix()
    newest = matrix.dates[trading_rows(deployment, matrix)[-1]]
    return until < deployment.activated_at.date() and bool(np.datetime64(until) < newest)


def limits_losses(portfolio_id: str) -> bool:
    """Whether a limit is in force that is measured by the stored history."""
    losses = [name for name, kind in LIMIT_KINDS.items() if isinstance(kind, BookKind) and kind.stops_trading]
    return RiskLimit.objects.filter(in_force(Now()), portfolio=portfolio_id, kind__in=losses).exists()


def _breach(deployment: Deployment) -> str | None:
    limit = _breached(deployment).first()
    if limit is None:
        return None
    shown = LIMIT_KINDS[limit.kind].shown
    value = "a value that is not known" if limit.current_value is None else shown(limit.current_value)
    of_symbol = f" of {limit.instrument_id}" if limit.instrument_id else ""
    return f"limit {limit.pk} is in breach: {limit.kind}{of_symbol} is {value}, above {shown(limit.threshold_value)}"


def _breached(deployment: Deployment) -> QuerySet[RiskLimit]:
    """Limits that block and that the monitor sees in breach, by their terms of now, since this deployment began.

    A breach from before it is not its fault: else a rollback into a book that is in breach would roll on to nothing.
    """
    seen = Q(evaluated_at__gte=F("updated_at"))
    began = Q(status_since=None) | Q(status_since__gte=deployment.activated_at)
    breached = {"action": RiskLimit.Action.BLOCK, "status": RiskLimit.Status.BREACH}
    limits = RiskLimit.objects.filter(in_force(Now()), seen, began, portfolio=deployment.portfolio_id, **breached)
    return limits.order_by("pk")
