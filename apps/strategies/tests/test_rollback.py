"""Going back, in every state that a deployment can be in."""

import pytest
from rest_framework.exceptions import PermissionDenied

from apps.portfolios.ledger import close_portfolio
from apps.portfolios.tests.factories import make_user
from apps.risk.models import RiskEvent
from apps.risk.tests.desks import make_limit
from apps.strategies.deployments import approve_deployment
from apps.strategies.errors import DeploymentStateError, VersionNotFoundError
from apps.strategies.models import Deployment
from apps.strategies.rollback import roll_back_by_itself, roll_back_deployment
from apps.strategies.running.gates import watch_deployments
from apps.strategies.tests.deploy_factories import (
    HALVES,
    LIVE,
    TREND,
    ask,
    make_active,
    make_paper,
    make_version,
    make_wandering_prices,
    steps_of,
    work,
)
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db

Status = Deployment.Status


@pytest.fixture(autouse=True)
def prices() -> None:
    make_wandering_prices()


@pytest.fixture
def user():
    return make_user("operator", username="olga")


@pytest.fixture
def portfolio():
    return make_paper()


@pytest.fixture
def first(portfolio) -> Deployment:
    return make_active(make_version(), portfolio)


@pytest.fixture
def second(first, portfolio) -> Deployment:
    return make_active(make_version(TREND, strategy=first.strategy), portfolio)


def status_of(deployment: Deployment) -> str:
    return Deployment.objects.values_list("status", flat=True).get(pk=deployment.pk)


def test_version_before_comes_back_through_the_whole_pipeline_while_the_other_goes_on(second, user):
    back, task = roll_back_deployment(second, user=user, reason="it loses")
    assert status_of(second) == Status.ACTIVE
    work(task)
    back.refresh_from_db()
    assert (back.status, back.version.version, back.rolls_back) == (Status.ACTIVE, 1, second)
    assert steps_of(back)["backtest"] == "succeeded"
    second.refresh_from_db()
    assert (second.status, second.reason) == (Status.ROLLED_BACK, f"{second.pk} was rolled back by olga: it loses")


def test_force_stops_at_once_and_skips_the_backtest_only(second, user):
    back, task = roll_back_deployment(second, user=user, force=True)
    assert status_of(second) == Status.ROLLED_BACK
    second.refresh_from_db()
    assert second.ended_by == user
    work(task)
    assert steps_of(back) == {
        "validate": "succeeded",
        "backtest": "skipped",
        "risk": "succeeded",
        "activate": "succeeded",
    }
    assert status_of(back) == Status.ACTIVE


def test_rollback_to_any_version(second, portfolio, user):
    third = make_active(make_version(HALVES, {"share": 0.2}, second.strategy), portfolio)
    back, task = roll_back_deployment(third, user=user, force=True, to_version=1)
    work(task)
    back.refresh_from_db()
    assert (back.status, back.version.version) == (Status.ACTIVE, 1)


def test_live_rollback_needs_an_approval_only_for_a_version_that_never_ran_there(settings, portfolio):
    settings.LIVE_BROKER = LIVE
    admin = make_user("admin")
    first = make_active(make_version(), portfolio, environment="live", user=admin)
    never_run = make_version(HALVES, {"share": 0.1}, first.strategy)
    second = make_active(make_version(TREND, strategy=first.strategy), portfolio, environment="live", user=admin)
    back, _ = roll_back_deployment(second, user=admin, to_version=never_run.version)
    assert steps_of(back)["approval"] == "pending"
    roll_back_deployment(back, user=admin)
    back, _ = roll_back_deployment(second, user=admin)
    assert steps_of(back)["approval"] == "skipped"


def test_forced_rollback_to_a_version_that_never_ran_there_goes_through_its_backtest(second, settings):
    settings.GATE_MIN_SHARPE = 100.0
    strategist, operator = make_user("strategist"), make_user("operator")
    never_run = make_version(HALVES, {"share": 0.1}, second.strategy)
    with pytest.raises(PermissionDenied, match="never ran"):
        roll_back_deployment(second, user=operator, force=True, to_version=never_run.version)
    assert status_of(second) == Status.ACTIVE
    back, task = roll_back_deployment(second, user=strategist, force=True, to_version=never_run.version)
    work(task)
    assert (status_of(back), steps_of(back)["backtest"]) == (Status.FAILED, "failed")


def test_what_comes_back_has_the_terms_that_it_ran_with(portfolio, user):
    first = make_active(make_version(), portfolio, symbols=["AAA", "BBB"], schedule="monthly", cost_bps=3)
    strategy = first.strategy
    make_active(make_version(TREND, strategy=strategy), portfolio, symbols=["BBB"], schedule="daily", cost_bps=9)
    third = make_active(make_version(HALVES, {"share": 0.3}, strategy), portfolio, symbols=["BBB"], cost_bps=9)
    back, _ = roll_back_deployment(third, user=user, to_version=1)
    assert (back.symbols, back.schedule, back.cost_bps) == (["AAA", "BBB"], "monthly", 3)


def test_operator_reads_no_figure_of_the_book_in_the_task_of_a_rollback(second, portfolio):
    make_limit(portfolio, kind="gross_exposure", threshold=1_000)
    stranger = make_user("operator", groups=["another desk"])
    back, task = roll_back_deployment(second, user=stranger, force=True)
    error = work(task).error
    assert error["detail"] == f"{back.pk} has ended: risk."
    back.refresh_from_db()
    assert "gross_exposure would be" in back.reason


def test_rollback_whose_return_failed_can_be_asked_for_again(second, portfolio, user):
    limit = make_limit(portfolio, kind="gross_exposure", threshold=1_000)
    back, task = roll_back_deployment(second, user=user, force=True)
    work(task)
    assert status_of(back) == Status.FAILED
    limit.delete()
    second.refresh_from_db()
    again, task = roll_back_deployment(second, user=user, force=True)
    work(task)
    assert status_of(again) == Status.ACTIVE


def test_rollback_is_an_alert_until_something_runs_again(second, portfolio):
    roll_back_by_itself(second.pk, "drawdown of 30.00%")
    event = RiskEvent.objects.get(event_type="strategy_rolled_back")
    assert (event.severity, event.closed_at) == ("critical", None)
    assert "drawdown of 30.00%" in event.message
    work(Task.objects.get(pk=Deployment.objects.get(rolls_back=second).task_id))
    event.refresh_from_db()
    assert event.closed_at is not None


def test_deployment_on_a_closed_portfolio_ends_and_nothing_comes_back(second, portfolio):
    close_portfolio(portfolio.pk)
    assert watch_deployments() == [second.pk]
    assert status_of(second) == Status.ROLLED_BACK
    assert not Deployment.objects.filter(rolls_back=second).exists()


def test_live_rollback_without_a_broker_fails_at_its_activation(settings, portfolio):
    settings.LIVE_BROKER, settings.MAX_PRICE_AGE_SECONDS = LIVE, 0
    admin = make_user("admin")
    first = make_active(make_version(), portfolio, environment="live", user=admin)
    second = make_active(make_version(TREND, strategy=first.strategy), portfolio, environment="live", user=admin)
    settings.LIVE_BROKER = ""
    back, task = roll_back_deployment(second, user=admin)
    assert work(task).error["code"] == "no_broker"
    assert (status_of(back), status_of(second)) == (Status.FAILED, Status.ACTIVE)


def test_rollback_that_is_approved_keeps_its_reason(settings, portfolio):
    settings.LIVE_BROKER, settings.MAX_PRICE_AGE_SECONDS = LIVE, 0
    admin = make_user("admin")
    first = make_active(make_version(), portfolio, environment="live", user=admin)
    never_run = make_version(HALVES, {"share": 0.1}, first.strategy)
    second = make_active(make_version(TREND, strategy=first.strategy), portfolio, environment="live", user=admin)
    back, task = roll_back_deployment(second, user=admin, to_version=never_run.version, reason="it loses money")
    work(task)
    approve_deployment(back.pk, make_user("risk_manager"))
    second.refresh_from_db()
    assert second.status == Status.ROLLED_BACK
    assert "it loses money" in second.reason


def test_forced_rollback_replaces_a_patient_one_that_is_under_way(second, user):
    patient, waiting = roll_back_deployment(second, user=user)
    roll_back_by_itself(second.pk, "drawdown of 30.00%")
    assert (status_of(second), status_of(patient)) == (Status.ROLLED_BACK, Status.FAILED)
    assert work(waiting).status == "cancelled"
    back = Deployment.objects.get(rolls_back=second, skip_backtest=True)
    work(Task.objects.get(pk=back.task_id))
    assert status_of(back) == Status.ACTIVE


def test_rollback_to_its_own_version_or_to_none_that_exists_is_refused(second, user):
    with pytest.raises(DeploymentStateError, match="version 2 itself"):
        roll_back_deployment(second, user=user, to_version=2)
    with pytest.raises(VersionNotFoundError):
        roll_back_deployment(second, user=user, force=True, to_version=9)
    assert status_of(second) == Status.ACTIVE


def test_rolling_back_twice_goes_back_once(second, user):
    back, task = roll_back_deployment(second, user=user)
    with pytest.raises(DeploymentStateError, match=f"{back.pk} rolls {second.pk} back already"):
        roll_back_deployment(second, user=user)
    work(task)
    with pytest.raises(DeploymentStateError, match="does not run"):
        roll_back_deployment(Deployment.objects.get(pk=second.pk), user=user)
    assert Deployment.objects.filter(status=Status.ACTIVE).get() == back


def test_first_deployment_stops_and_nothing_takes_its_place(first, user):
    answered, task = roll_back_deployment(first, user=user, reason="enough")
    assert (answered.pk, answered.status) == (first.pk, Status.ROLLED_BACK)
    assert work(task).result["status"] == Status.ROLLED_BACK
    assert not Deployment.objects.filter(status=Status.ACTIVE).exists()


def test_rolling_back_what_came_back_goes_to_what_was_before_that(second, user):
    back, task = roll_back_deployment(second, user=user, force=True)
    work(task)
    back.refresh_from_db()
    assert back.previous is None  # the first one had none before it
    answered, _ = roll_back_deployment(back, user=user, force=True)
    assert (answered.pk, answered.status) == (back.pk, Status.ROLLED_BACK)


def test_rolling_back_while_deploying_ends_the_way_and_leaves_what_is_active(first, portfolio, user):
    coming, task = ask(make_version(TREND, strategy=first.strategy), portfolio)
    answered, confirmation = roll_back_deployment(coming, user=user)
    assert (answered.pk, answered.status) == (coming.pk, Status.ROLLED_BACK)
    assert "before it was active" in answered.reason
    task.refresh_from_db()
    assert task.status == "cancelled"
    assert work(task).status == "cancelled"
    assert work(confirmation).status == "succeeded"
    assert status_of(first) == Status.ACTIVE


def test_forced_rollback_ends_what_is_on_its_way_to_the_same_portfolio(second, portfolio, user):
    coming, task = ask(make_version(HALVES, {"share": 0.2}, second.strategy), portfolio)
    back, rollback = roll_back_deployment(second, user=user, force=True)
    assert status_of(coming) == Status.FAILED
    work(task)
    work(rollback)
    assert status_of(back) == Status.ACTIVE


def test_rollback_without_force_waits_for_what_is_on_its_way(second, portfolio, user):
    coming, _ = ask(make_version(HALVES, {"share": 0.2}, second.strategy), portfolio)
    with pytest.raises(Exception, match=coming.pk):
        roll_back_deployment(second, user=user)
    assert status_of(second) == Status.ACTIVE


def test_ended_deployment_cannot_be_rolled_back(first, second, user):
    first.refresh_from_db()
    with pytest.raises(DeploymentStateError, match="superseded"):
        roll_back_deployment(first, user=user, force=True)


def test_platform_rolls_back_once_and_stops_even_where_the_version_before_may_not_come_back(second, portfolio):
    make_limit(portfolio, kind="gross_exposure", threshold=1_000)
    roll_back_by_itself(second.pk, "drawdown of 30.00%")
    roll_back_by_itself(second.pk, "drawdown of 30.00%")
    second.refresh_from_db()
    assert second.status == Status.ROLLED_BACK
    assert second.reason == "rolled back by itself: drawdown of 30.00%"
    back = Deployment.objects.get(rolls_back=second)
    work(Task.objects.get(pk=back.task_id))
    assert status_of(back) == Status.FAILED
    assert not Deployment.objects.filter(status=Status.ACTIVE).exists()
