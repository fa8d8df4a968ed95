"""The nightly run over all portfolios, by its tasks: failed, missed, or not ended by the morning."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.operations.checks.risk_monitoring import ANALYZE_ALL, check_risk_monitoring
from apps.operations.findings import Status
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade, make_user
from apps.risk.all_portfolios import DEFAULTS, KIND
from apps.risk.models import RiskMonitor
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db


def ago(**span: float) -> Any:
    return timezone.now() - timedelta(**span)


@pytest.fixture(autouse=True)
def book() -> Portfolio:
    """One with a position, of a platform that has been there for a week and whose monitor runs."""
    RiskMonitor.objects.create(pk=1, last_run_at=ago(seconds=1), last_run_seconds=0.2, changed_at=ago(hours=1))
    make_prices()
    portfolio = make_portfolio("BOOK")
    make_trade(portfolio)
    opened(portfolio, days=7)
    return portfolio


def opened(portfolio: Portfolio, **span: float) -> None:
    Portfolio.objects.filter(pk=portfolio.pk).update(created_at=ago(**span))


def nightly(status: str = "succeeded", **fields: Any) -> Task:
    ended = {} if status == "processing" else {"finished_at": timezone.now()}
    return make_task(KIND, DEFAULTS, status=status, **ended, **fields)


def causes() -> list[str]:
    found = check_risk_monitoring().findings
    assert {(one.status, one.section) for one in found} <= {(Status.DEGRADED, "risk-figures-stuck")}
    return [one.cause for one in found]


def test_run_of_last_night_is_healthy():
    nightly(created_at=ago(hours=24.5))
    assert causes() == []


def test_run_that_is_a_day_late_is_told_of():
    nightly(created_at=ago(hours=30.1))
    (finding,) = check_risk_monitoring().findings
    assert (finding.status, finding.section) == (Status.DEGRADED, "risk-figures-stuck")
    assert finding.cause == "No run has begun for 30 hours, and one is due each day at 22:30 UTC."
    assert finding.remedy == ANALYZE_ALL


def test_run_that_never_came_is_missed_once_there_were_positions_for_a_day(book):
    assert causes() == ["No run has begun since the first portfolio was opened, and one is due each day at 22:30 UTC."]
    opened(book, hours=24)
    assert causes() == [], "a platform of today has missed no night"


def test_without_a_nightly_run_or_without_positions_none_is_missed(settings, book):
    settings.RISK_NIGHTLY_AT = "off"
    assert causes() == []
    settings.RISK_NIGHTLY_AT = "22:30"
    Portfolio.objects.filter(pk=book.pk).update(closed_at=timezone.now())
    assert causes() == []


@pytest.mark.parametrize(("hours", "found"), [(5.9, False), (7, True)])
def test_run_that_has_not_ended_by_the_morning_is_told_of(hours, found):
    task = nightly("processing", created_at=ago(hours=hours))
    assert causes() == [f"Its task {task.pk} has been processing for 7 hours."] * found


def test_remedy_of_a_missed_run_mends_it(book):
    answer = client_of("risk_manager").post("/" + ANALYZE_ALL.split("/", 3)[3].split()[0], {}, format="json")
    assert answer.status_code == 202
    assert len(causes()) == 1, "asked for is not done"
    Task.objects.update(status="succeeded", finished_at=timezone.now())
    assert causes() == []


def test_run_of_other_parameters_makes_up_for_none():
    make_task(
        KIND, {**DEFAULTS, "window_days": 10}, status="succeeded", finished_at=timezone.now(), created_by=make_user()
    )
    assert len(causes()) == 1
