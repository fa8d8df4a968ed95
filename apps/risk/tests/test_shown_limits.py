"""What is found by a status is what is shown with it, whatever the monitor and the limit are like."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.utils import timezone

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio
from apps.risk.limits import shown_as, shown_status
from apps.risk.models import RiskLimit, RiskMonitor
from apps.risk.monitoring import monitor_freshness, monitor_row, shown_counts
from apps.risk.tests.desks import make_limit

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = timedelta(days=1)  # longer than all tests take
TERMS: tuple[dict[str, Any], ...] = (
    {},
    {"active": False},
    {"effective_from": NOW - DAY, "effective_to": NOW + DAY},
    {"effective_from": NOW + DAY},
    {"effective_to": NOW - DAY},
)
MONITORS: dict[str, dict[str, Any]] = {
    "running": {"enabled": True, "last_run_at": NOW, "last_run_seconds": 3_600.0},
    "late": {"enabled": True, "last_run_at": NOW - DAY, "last_run_seconds": 0.1},
    "stopped": {"enabled": False, "last_run_at": NOW},
}


@pytest.fixture
def limits() -> list[RiskLimit]:
    """Of each status, in force or not; evaluated before they were changed, after it, or never."""
    portfolio = make_portfolio("BOOK")
    cases = product(RiskLimit.Status.values, TERMS, (timedelta(0), 2 * DAY, None))
    return [_limit(portfolio, number, *case) for number, case in enumerate(cases)]


def _limit(portfolio: Portfolio, number: int, status: str, terms: dict[str, Any], age: timedelta | None) -> RiskLimit:
    limit = make_limit(portfolio, "var_99", 1000 + number, **terms)
    evaluated_at = None if age is None else timezone.now() - age
    RiskLimit.objects.filter(pk=limit.pk).update(status=status, evaluated_at=evaluated_at)
    limit.refresh_from_db()
    return limit


def _set_monitor(name: str) -> None:
    monitor_row()
    RiskMonitor.objects.update(**MONITORS[name])


@pytest.mark.parametrize("monitor", MONITORS)
@pytest.mark.parametrize("status", RiskLimit.Status.values)
def test_limits_are_found_by_the_status_that_is_shown(limits, monitor, status):
    _set_monitor(monitor)
    freshness = monitor_freshness()
    found = set(RiskLimit.objects.filter(shown_as(status, freshness)))
    assert found == {limit for limit in limits if shown_status(limit, freshness).status == status}


def test_counts_of_a_stopped_monitor_keep_breaches_alone():
    portfolio = make_portfolio("BOOK")
    for number, status in enumerate(("ok", "warning", "breach", "unknown")):
        _limit(portfolio, number, status, {}, timedelta(0))
    _set_monitor("stopped")
    counts = shown_counts(Portfolio.objects.all(), monitor_freshness())
    assert counts == {"ok": 0, "warning": 0, "breach": 1, "unknown": 3, "total": 4}
