"""What may happen to a deployment on its way: workers die, tasks are cancelled, portfolios close, books move."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.portfolios.ledger import close_portfolio
from apps.portfolios.tests.factories import make_prices, make_trade, make_user
from apps.strategies.deployments import approve_deployment
from apps.strategies.errors import (
    DeploymentEndedError,
    DeploymentStateError,
)
from apps.strategies.models import Deployment
from apps.strategies.pipeline.progress import begin
from apps.strategies.stuck import clear_stuck_deployments
from apps.strategies.tests.deploy_factories import (
    DAYS,
    LIVE,
    ask,
    deploy,
    make_paper,
    make_version,
    make_wandering_prices,
    taken_over,
    work,
)
from apps.tasks.errors import JobStoppedError
from apps.tasks.execution import take
from apps.tasks.submission import cancel_task

pytestmark = pytest.mark.django_db

Status = Deployment.Status


@pytest.fixture(autouse=True)
def prices() -> None:
    make_wandering_prices()


# --- Workers that die ---------------------------------------------------------------------------------------------


def test_step_is_begun_again_and_only_the_last_try_may_finish_it():
    deployment, task = ask(make_version(), make_paper())
    first = take(str(task.pk), "w1")
    frozen = begin(deployment.pk, "validate", first)
    second = taken_over(task)
    again = begin(deployment.pk, "validate", second)
    with pytest.raises(JobStoppedError):  # awake between two steps
        begin(deployment.pk, "validate", first)
    with pytest.raises(DeploymentEndedError):
        frozen.succeed({"weights": {"AAA": 1.0}})
    with pytest.raises(DeploymentEndedError):
        frozen.say("still here")
    again.succeed({"weights": {}})
    step = deployment.steps.get(name="validate")
    assert (step.status, step.attempts, step.result) == ("succeeded", 2, {"weights": {}})
    assert begin(deployment.pk, "validate", second) is None


def test_cancelled_task_activates_nothing(monkeypatch):
    deployment, task = ask(make_version(), make_paper())

    def cancelled_meanwhile(each: Deployment) -> None:
        cancel_task(task.pk)

    monkeypatch.setattr("apps.strategies.pipeline.job.refuse_what_cannot_run", cancelled_meanwhile)
    assert work(task).status == "cancelled"
    deployment.refresh_from_db()
    assert deployment.status == Status.BACKTESTING
    assert clear_stuck_deployments() == [deployment.pk]


def test_fault_of_ours_ends_the_deployment_at_once(monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("apps.strategies.pipeline.steps.risk.check_trades", broken)
    deployment, task = ask(make_version(), make_paper())
    assert work(task).error["code"] == "internal_error"
    deployment.refresh_from_db()
    assert deployment.status == Status.FAILED
    assert "RuntimeError" in deployment.reason


# --- What changes on the way --------------------------------------------------------------------------------------


def test_portfolio_that_is_closed_on_the_way_gets_nothing_active():
    deployment, task = ask(make_version(), make_paper())
    close_portfolio(deployment.portfolio_id)
    work(task)
    deployment.refresh_from_db()
    assert deployment.status == Status.FAILED
    assert "closed" in deployment.reason
    waiting, _ = ask(make_version(), make_paper())
    close_portfolio(waiting.portfolio_id)
    assert clear_stuck_deployments() == [waiting.pk]


def test_live_risk_step_refuses_stale_closes(settings):
    settings.LIVE_BROKER, settings.MAX_PRICE_AGE_SECONDS = LIVE, 345_600
    deployment = deploy(make_version(), make_paper(), environment="live", user=make_user("admin"))
    assert deployment.status == Status.FAILED
    assert "older than 345600 s" in deployment.reason
    assert deploy(make_version(), make_paper()).status == Status.ACTIVE  # paper trades on recorded closes


def test_approval_of_an_old_check_is_refused(settings):
    settings.LIVE_BROKER, settings.MAX_PRICE_AGE_SECONDS = LIVE, 0
    deployment = deploy(make_version(), make_paper(), environment="live", user=make_user("admin"))
    deployment.steps.filter(name="risk").update(finished_at=timezone.now() - timedelta(hours=25))
    with pytest.raises(DeploymentStateError, match="over 24 h ago"):
        approve_deployment(deployment.pk, make_user("risk_manager"))
    deployment.refresh_from_db()
    assert deployment.status == Status.AWAITING_APPROVAL


def test_risk_step_sells_what_the_deployment_before_has_left():
    portfolio = make_paper()
    first = deploy(make_version("def target_weights(prices, params):\n    return {'AAA': 0.9}\n"), portfolio)
    trade = make_trade(portfolio, "AAA", 800, 100)
    run = first.runs.create(day=trade.traded_at.date(), status="succeeded", price_version=1)
    first.orders.create(run=run, instrument_id="AAA", quantity=800, decided_price=100, status="filled", trade=trade)
    second = deploy(
        make_version("def target_weights(prices, params):\n    return {'BBB': 0.9}\n"), portfolio, symbols=["BBB"]
    )
    sides = {each["symbol"]: each["quantity"] for each in second.steps.get(name="risk").result["orders"]}
    assert sides["AAA"] == -800
    assert sides["BBB"] > 0


def test_weight_without_a_close_and_an_empty_portfolio_are_told_by_the_step():
    make_prices({"OLD": [5.0] * (DAYS - 1) + [None]})
    code = "def target_weights(prices, params):\n    return {'OLD': 0.5}\n"
    assert "OLD" in deploy(make_version(code), make_paper(), symbols=["OLD", "AAA"]).reason
    assert "nothing to size orders by" in deploy(make_version(), make_paper(cash=0)).reason


def test_backtest_of_many_cheap_calls_is_not_ended_by_the_limit_of_one_process(settings):
    settings.SANDBOX_CPU_SECONDS = 2
    slow = (
        "def target_weights(prices, params):\n    total = 0\n    for number in range(1_500_000):\n"
        "        total += number\n    return {'AAA': 0.5}\n"
    )
    assert deploy(make_version(slow), make_paper()).status == Status.ACTIVE


def test_ids_of_deployments_are_given_one_after_the_other():
    version = make_version()
    made = [ask(version, make_paper())[0].pk for _ in range(3)]
    assert made == ["DEPLOY_001", "DEPLOY_002", "DEPLOY_003"]
