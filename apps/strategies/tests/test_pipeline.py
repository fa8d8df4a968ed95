"""From a request to a deployment that is active, or to a clear end."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import PermissionDenied

from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.tests.factories import make_trade, make_user
from apps.risk.tests.desks import make_limit
from apps.strategies.deployments import approve_deployment
from apps.strategies.errors import (
    BadStartDateError,
    DeploymentEndedError,
    DeploymentStateError,
    DeploymentUnderWayError,
    NoBrokerError,
    OtherEnvironmentError,
    OwnDeploymentError,
    UnknownSymbolsError,
)
from apps.strategies.models import Deployment
from apps.strategies.pipeline.progress import begin
from apps.strategies.stuck import clear_stuck_deployments
from apps.strategies.tests.deploy_factories import (
    HALVES,
    LIVE,
    TREND,
    ask,
    deploy,
    make_active,
    make_paper,
    make_version,
    make_wandering_prices,
    steps_of,
    work,
)
from apps.tasks.execution import take
from apps.tasks.submission import cancel_task

pytestmark = pytest.mark.django_db

Status = Deployment.Status


@pytest.fixture(autouse=True)
def prices() -> None:
    make_wandering_prices()


def test_paper_deployment_goes_through_every_step_and_is_active():
    deployment, task = ask(make_version(), make_paper())
    assert (deployment.status, deployment.pk) == (Status.PENDING, "DEPLOY_001")
    assert work(task).status == "succeeded", task.error
    deployment.refresh_from_db()
    assert deployment.status == Status.ACTIVE
    assert steps_of(deployment) == dict.fromkeys(("validate", "backtest", "risk", "activate"), "succeeded")
    assert task.result == {"deployment_id": "DEPLOY_001", "status": "active"}
    assert deployment.symbols == ["AAA", "BBB"]
    validated, backtest, risk, activated = deployment.steps.all()
    assert validated.result["weights"] == {"AAA": 0.4, "BBB": 0.4}
    assert backtest.result["figures"]["sharpe"] > 0
    assert backtest.result["curve"][-1][1] == pytest.approx(backtest.result["final_equity"], abs=0.01)
    assert risk.result["approved"]
    assert {trade["symbol"] for trade in risk.result["orders"]} == {"AAA", "BBB"}
    assert all(step.log and step.started_at <= step.finished_at for step in (validated, backtest, risk))
    assert activated.finished_at is not None


def test_version_before_is_superseded_when_the_next_becomes_active():
    first_version, portfolio = make_version(), make_paper()
    first = deploy(first_version, portfolio)
    second = deploy(make_version(TREND, strategy=first_version.strategy), portfolio)
    first.refresh_from_db()
    assert (first.status, second.status, second.previous) == (Status.SUPERSEDED, Status.ACTIVE, first)
    assert first.reason == f"{second.pk} took its place"
    assert first.ended_at is not None


def test_two_active_deployments_of_one_portfolio_cannot_be_written():
    version, portfolio = make_version(), make_paper()
    first = deploy(version, portfolio)
    second, _ = ask(version, portfolio)
    with pytest.raises(IntegrityError, match="deployment_one_active"), transaction.atomic():
        Deployment.objects.filter(pk=second.pk).update(status="active", activated_at=timezone.now())
    other = deploy(version, make_paper())
    assert {first.status, other.status} == {Status.ACTIVE}


def test_second_deployment_to_a_portfolio_waits_until_the_first_has_come_through():
    version, portfolio = make_version(), make_paper()
    first, _ = ask(version, portfolio)
    with pytest.raises(DeploymentUnderWayError, match=first.pk):
        ask(version, portfolio)
    assert Deployment.objects.count() == 1


@pytest.mark.parametrize(
    ("code", "step", "words"),
    [
        (
            "import pandas as pd\ndef target_weights(prices, params):\n    width = pd.get_option('display.width')\n"
            "    pd.set_option('display.width', width + 1)\n    return {'AAA': width / 1000}\n",
            "validate",
            "earlier call",
        ),
        ("import numpy as np\nnp.calls = 1\n" + HALVES, "validate", "np.calls belongs to a module"),
        ("import os\n" + HALVES, "validate", "os"),
        ("def target_weights(prices):\n    return {}\n", "validate", "target_weights"),
        ("def target_weights(prices, params):\n    return {'AAA': 1 / 0}\n", "validate", "ZeroDivisionError"),
        ("def target_weights(prices, params):\n    return {'AAA': float('nan')}\n", "validate", "AAA"),
        ("def target_weights(prices, params):\n    return {'AAA': 9.0}\n", "validate", "9"),
        (
            "import numpy as np\ndef target_weights(prices, params):\n    return {'AAA': float(np.random.rand())}\n",
            "validate",
            "AAA",
        ),
        (
            "def target_weights(prices, params):\n    if len(prices) < 30:\n        raise ValueError('too short')\n"
            "    return {'AAA': 0.5}\n",
            "backtest",
            "too short",
        ),
    ],
    ids=[
        "keeps what a call left",
        "changes a module",
        "import",
        "signature",
        "raises",
        "nan",
        "gross",
        "chance",
        "raises in the backtest",
    ],
)
def test_version_that_is_no_good_fails_at_its_step_and_says_why(code, step, words):
    deployment = deploy(make_version(code), make_paper())
    assert deployment.status == Status.FAILED
    assert deployment.reason.startswith(f"{step}: ")
    assert words in deployment.reason
    told = steps_of(deployment)
    assert told[step] == "failed"
    assert told["activate"] == "cancelled"
    assert deployment.steps.get(name=step).log


def test_broken_gate_fails_the_deployment_and_keeps_the_figures(settings):
    settings.GATE_MIN_SHARPE = 100.0
    deployment, task = ask(make_version(), make_paper())
    work(task)
    deployment.refresh_from_db()
    assert deployment.status == Status.FAILED
    assert "sharpe is" in deployment.reason
    assert "expected at least 100" in deployment.reason
    assert deployment.steps.get(name="backtest").result["figures"]["sharpe"] > 0
    assert (task.status, task.error["code"]) == ("failed", "gate_broken")


def test_capacity_that_is_asked_for_and_unknown_passes_no_gate(settings):
    settings.GATE_MIN_CAPACITY = 1.0
    deployment = deploy(make_version(), make_paper())
    assert deployment.status == Status.FAILED
    assert "capacity is unknown" in deployment.reason


def test_book_that_a_limit_refuses_fails_the_risk_step():
    portfolio = make_paper()
    make_limit(portfolio, kind="gross_exposure", threshold=50_000)
    deployment = deploy(make_version(), portfolio)
    assert deployment.status == Status.FAILED
    assert "gross_exposure" in deployment.reason
    step = deployment.steps.get(name="risk")
    assert step.result["checks"][0]["status"] == "breach"
    assert steps_of(deployment)["backtest"] == "succeeded"


def test_backtest_begins_with_what_the_portfolio_is_worth():
    portfolio = make_paper(cash=50_000)
    make_trade(portfolio, "AAA", 100, 100)
    backtest = deploy(make_version(), portfolio).steps.get(name="backtest").result
    assert backtest["initial_equity"] > 50_000


# --- What may be asked for ----------------------------------------------------------------------------------------


def test_symbols_that_cannot_be_held_are_refused():
    with pytest.raises(UnknownSymbolsError, match="NOPE"):
        ask(make_version(), make_paper(), symbols=["AAA", "NOPE"])
    assert deploy(make_version(TREND), make_paper(), symbols=["AAA"]).symbols == ["AAA"]


def test_start_date_lies_in_the_portfolios_life_and_is_for_paper(settings):
    version, portfolio = make_version(), make_paper()
    for day in (portfolio.inception_date - timedelta(days=1), timezone.now().date() + timedelta(days=2)):
        with pytest.raises(BadStartDateError, match=str(day)):
            ask(version, portfolio, start_date=day)
    settings.LIVE_BROKER = LIVE
    with pytest.raises(BadStartDateError, match="live"):
        ask(version, portfolio, start_date=portfolio.inception_date, environment="live")


def test_recorded_days_are_not_traded_on_a_book_that_has_moved_since():
    version, portfolio = make_version(), make_paper()
    trade = make_trade(portfolio, "AAA", 1, 100)
    with pytest.raises(BadStartDateError, match="was booked on last on 2022-01-03"):
        ask(version, portfolio, start_date=trade.traded_at.date())
    paid_in = make_paper()
    book_cash_flow(paid_in.pk, Decimal(9_000), date(2022, 1, 10))
    with pytest.raises(BadStartDateError, match="2022-01-10"):
        ask(version, paid_in, start_date=date(2022, 1, 5))
    assert ask(version, portfolio, start_date=trade.traded_at.date() + timedelta(days=1))[0].status == Status.PENDING


def test_book_that_moves_on_the_way_is_not_replayed():
    portfolio = make_paper()
    deployment, task = ask(make_version(), portfolio, start_date=portfolio.inception_date)
    make_trade(portfolio, "AAA", 1, 100)
    assert work(task).error["code"] == "start_date_invalid"
    deployment.refresh_from_db()
    assert deployment.status == Status.FAILED


def test_paper_and_live_are_never_active_on_one_portfolio(settings):
    settings.LIVE_BROKER, settings.MAX_PRICE_AGE_SECONDS = LIVE, 0
    version, portfolio, admin = make_version(), make_paper(), make_user("admin")
    live = deploy(version, portfolio, environment="live", user=admin)
    make_active(version, portfolio)
    with pytest.raises(OtherEnvironmentError, match="paper"):
        approve_deployment(live.pk, make_user("risk_manager"))
    live.refresh_from_db()
    assert live.status == Status.AWAITING_APPROVAL


# --- Live ---------------------------------------------------------------------------------------------------------


def test_live_without_a_broker_is_refused_and_nothing_is_kept():
    with pytest.raises(NoBrokerError, match="NAUTILUS_LIVE_BROKER"):
        ask(make_version(), make_paper(), environment="live")
    assert not Deployment.objects.exists()


def test_live_waits_for_somebody_else_and_is_active_once_approved(settings):
    settings.LIVE_BROKER, settings.MAX_PRICE_AGE_SECONDS = LIVE, 0
    asker, approver = make_user("admin"), make_user("risk_manager")
    deployment, task = ask(make_version(), make_paper(), environment="live", user=asker)
    assert work(task).result["status"] == Status.AWAITING_APPROVAL
    with pytest.raises(OwnDeploymentError):
        approve_deployment(deployment.pk, asker)
    with pytest.raises(PermissionDenied):
        approve_deployment(deployment.pk, make_user("strategist"))
    assert steps_of(deployment)["activate"] == "pending"
    approved = approve_deployment(deployment.pk, approver)
    assert (approved.status, approved.approved_by) == (Status.ACTIVE, approver)
    assert set(steps_of(deployment).values()) == {"succeeded"}
    with pytest.raises(DeploymentStateError, match="nothing to approve"):
        approve_deployment(deployment.pk, approver)


def test_waiting_for_approval_is_not_stuck(settings):
    settings.LIVE_BROKER, settings.MAX_PRICE_AGE_SECONDS = LIVE, 0
    deployment = deploy(make_version(), make_paper(), environment="live", user=make_user("admin"))
    Deployment.objects.update(created_at=timezone.now() - timedelta(days=3))
    assert clear_stuck_deployments() == []
    assert deployment.status == Status.AWAITING_APPROVAL


# --- Stuck --------------------------------------------------------------------------------------------------------


def test_deployment_on_its_way_for_half_an_hour_fails_with_timeout():
    deployment, task = ask(make_version(), make_paper())
    assert clear_stuck_deployments() == []
    Deployment.objects.update(created_at=timezone.now() - timedelta(minutes=31))
    assert clear_stuck_deployments() == [deployment.pk]
    deployment.refresh_from_db()
    assert deployment.status == Status.FAILED
    assert deployment.reason.startswith("Timeout")
    task.refresh_from_db()
    assert task.status == "cancelled"
    assert set(steps_of(deployment).values()) == {"cancelled"}
    assert clear_stuck_deployments() == []


def test_deployment_whose_task_was_cancelled_ends_at_once():
    deployment, task = ask(make_version(), make_paper())
    cancel_task(task.pk)
    assert clear_stuck_deployments() == [deployment.pk]
    deployment.refresh_from_db()
    assert deployment.reason == "its task is cancelled"
    assert deploy(make_version(), make_paper()).status == Status.ACTIVE


def test_worker_that_wakes_up_after_the_timeout_writes_nothing():
    deployment, task = ask(make_version(), make_paper())
    attempt = begin(deployment.pk, "validate", take(str(task.pk), "w1"))
    clear_stuck_deployments(older_than_minutes=0)
    with pytest.raises(DeploymentEndedError):
        attempt.succeed({"weights": {}})
    assert steps_of(deployment)["validate"] == "failed"
