"""Gates in the middle of a task: on their day of a replay, with the history that is stored once, and held off."""

from datetime import date

import pytest

from apps.portfolios.histories import refresh_history
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, moment, trading_days
from apps.risk.tests.desks import make_limit
from apps.strategies.errors import GateBrokenError
from apps.strategies.models import Deployment
from apps.strategies.running import gates, job, runner
from apps.strategies.running.due import submit_due_runs
from apps.strategies.running.gates import watch_deployments
from apps.strategies.tests.running_factories import ALL_IN, RUNNING_SETTINGS, all_in, breach, make_active, run

pytestmark = pytest.mark.django_db

DAYS = trading_days(10)


@pytest.fixture(autouse=True)
def running_settings(settings):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)
    settings.LIVE_MAX_DRAWDOWN = 0.25


@pytest.fixture
def running() -> Deployment:
    deployment = all_in([10.0, 10.0])
    run(deployment)
    return deployment


def test_drawdown_is_seen_on_its_day_though_the_history_is_stored_once_a_task(monkeypatch):
    """Without a limit on losses it is stored before and after; test_limit_on_losses_knows… has one."""
    stored: list[date | None] = []
    deployment = all_in([10.0, 10.0, 12.0, 11.0, 10.0, 8.0, 20.0], schedule="daily")

    def storing(portfolio_id: str) -> bool:
        deployment.refresh_from_db()
        stored.append(deployment.last_day)
        return refresh_history(portfolio_id)

    monkeypatch.setattr(runner, "refresh_history", storing)
    monkeypatch.setattr(job, "refresh_history", storing)
    run(deployment)
    assert "drawdown of 33.33% since 2022-01-03, up to 2022-01-10" in deployment.reason
    assert stored == [None, DAYS[4]]
    portfolio = Portfolio.objects.get(pk=deployment.portfolio_id)
    assert portfolio.history_ledger_version == portfolio.ledger_version


@pytest.mark.parametrize(
    ("kind", "fields", "counts"),
    [
        ("drawdown", {}, True),
        ("daily_loss", {"action": "warn"}, True),
        ("gross_exposure", {}, False),
        ("drawdown", {"active": False}, False),
        ("drawdown", {"effective_to": moment()}, False),
    ],
)
def test_limit_on_losses_wants_the_history_after_each_fill(kind, fields, counts):
    portfolio = make_portfolio()
    make_limit(portfolio, kind, 0.5, **fields)
    assert gates.limits_losses(portfolio.pk) is counts
    assert not gates.limits_losses(make_portfolio().pk)


def test_breach_in_the_middle_of_a_replay_leaves_it_alone_until_it_is_through(running):
    """The days were recorded before it began; the monitor takes the second day's book at the closes of the fourth."""
    make_prices({"AAA": [10.0] * 4})
    breach(running)
    assert watch_deployments() == []
    result = run(running)
    assert (result["from"], running.last_day, running.status) == ("2022-01-05", DAYS[2], "rolled_back")


def test_breach_while_the_next_run_is_awaited_rolls_it_back(running):
    Deployment.objects.update(start_date=None)
    make_prices({"AAA": [10.0] * 4})
    breach(running)
    assert watch_deployments() == [running.pk]


def test_breach_before_the_first_day_of_a_replay_leaves_it_alone(running):
    other = make_active(make_portfolio(), parameters=ALL_IN, symbols=["AAA"])
    breach(other)
    assert watch_deployments() == []


def test_gate_that_cannot_roll_it_back_stops_it_and_is_told(monkeypatch):
    """Something else is under way to the portfolio, and holds the rollback off."""
    monkeypatch.setattr(runner, "roll_back_by_itself", lambda *_: None)
    deployment = all_in([10.0, 10.0, 7.0, 20.0])
    with pytest.raises(GateBrokenError):
        run(deployment)
    assert (deployment.status, deployment.last_day, deployment.failures_in_row) == ("active", DAYS[1], 0)
    assert "is to be rolled back and still active: drawdown of 30.00%" in deployment.last_error
    assert submit_due_runs() == 0
