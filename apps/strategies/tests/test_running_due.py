"""What beat finds to do: one task for each deployment that has a day or a fill to deal with, never two."""

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from apps.portfolios.tests.factories import make_portfolio, make_prices, moment
from apps.strategies.kinds import RUN
from apps.strategies.running import due
from apps.strategies.running.due import submit_due_runs
from apps.strategies.running.job import run_deployment
from apps.strategies.sandbox import BadWeightsError, SandboxUnavailableError
from apps.strategies.tests.running_factories import RUNNING_SETTINGS, make_active, pass_grace, pass_retry, run
from apps.tasks.endings import end_task
from apps.tasks.errors import JobStoppedError
from apps.tasks.execution import Job
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def running_settings(settings):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)


def _work() -> None:
    """As a worker does with every task that waits."""
    for task in Task.objects.filter(kind=RUN, status="processing"):
        end_task(task.pk, Task.Status.SUCCEEDED, attempt=0, result=run_deployment(Job(task)).result)


def test_nothing_is_due_without_prices_or_without_deployments():
    assert submit_due_runs() == 0
    make_prices()
    assert submit_due_runs() == 0


def test_day_that_the_prices_gain_is_one_run():
    make_prices({"AAA": [10.0], "BBB": [50.0]})
    deployment = make_active(make_portfolio())
    assert submit_due_runs() == 1
    _work()
    assert submit_due_runs() == 0
    make_prices({"AAA": [10.0, 11.0], "BBB": [50.0, 50.0]})
    assert submit_due_runs() == 1
    assert submit_due_runs() == 0  # while that one is under way
    _work()
    assert submit_due_runs() == 0
    assert deployment.runs.count() == 2
    assert Task.objects.filter(kind=RUN).count() == 2


def test_task_says_what_it_runs_and_is_the_portfolios():
    make_prices()
    deployment = make_active(make_portfolio())
    submit_due_runs()
    task = Task.objects.get(kind=RUN)
    assert task.inputs == {
        "deployment_id": deployment.pk,
        "strategy_id": deployment.strategy_id,
        "version": 1,
    }
    assert (task.portfolio_id, task.created_by) == (deployment.portfolio_id, None)


def test_two_submitted_at_once_share_one_computation():
    make_prices()
    deployment = make_active(make_portfolio())
    first, second = due.submit_run(deployment), due.submit_run(deployment)
    assert second.coalesced_with == first


def test_correction_of_an_old_close_is_no_work():
    make_prices({"AAA": [10.0, 11.0], "BBB": [50.0] * 2})
    run(make_active(make_portfolio(), parameters={"weights": {}}))
    make_prices({"AAA": [9.0, 11.0]})
    assert submit_due_runs() == 0


def test_open_order_is_work_only_once_it_has_a_close():
    make_prices({"AAA": [10.0] * 2, "BBB": [50.0, None]})
    pass_grace()
    run(make_active(make_portfolio(), schedule="monthly"))
    assert submit_due_runs() == 0
    make_prices({"BBB": [50.0, 51.0]})
    assert submit_due_runs() == 1


def test_deployment_that_has_ended_is_not_run():
    make_prices()
    make_active(make_portfolio(), status="superseded", ended_at=moment())
    assert submit_due_runs() == 0


def failed_deployment():
    make_prices({"AAA": [10.0]})
    deployment = make_active(make_portfolio(), parameters={"weights": {"NOPE": 1}}, symbols=["AAA"])
    with pytest.raises(Exception, match="NOPE"):
        run(deployment)
    return deployment


def test_failed_run_is_tried_again_after_a_while():
    deployment = failed_deployment()
    assert submit_due_runs() == 0
    pass_retry(deployment)
    assert submit_due_runs() == 1


def test_failed_run_is_tried_again_at_once_where_there_are_new_prices():
    failed_deployment()
    make_prices({"BBB": [50.0]})
    assert submit_due_runs() == 1


def test_day_whose_prices_come_in_several_imports_is_one_failure():
    """AAA gets its price last: each import before that is a try that fails, and only the first of them counts."""
    symbols = ["AAA", "BBB", "CCC", "DDD"]
    make_prices({"DDD": [5.0]})
    weights = {"weights": dict.fromkeys(symbols, 0.2)}
    deployment = make_active(make_portfolio(), parameters=weights, symbols=symbols)
    for symbol in ("CCC", "BBB"):
        assert submit_due_runs() == 1
        Task.objects.filter(status="processing").delete()  # its worker is this test
        with pytest.raises(BadWeightsError):
            run(deployment)
        assert submit_due_runs() == 0
        make_prices({symbol: [5.0]})
    assert (deployment.failures_in_row, deployment.runs.get().attempts) == (1, 2)
    make_prices({"AAA": [5.0]})
    run(deployment)
    assert (deployment.failures_in_row, deployment.last_error, deployment.status) == (0, "", "active")


def test_failure_of_the_same_day_counts_again_after_a_while():
    deployment = failed_deployment()
    with pytest.raises(BadWeightsError):
        run(deployment)
    assert deployment.failures_in_row == 1
    pass_retry(deployment)
    with pytest.raises(BadWeightsError):
        run(deployment)
    assert deployment.failures_in_row == 2


def fails_with(monkeypatch, error: BaseException) -> None:
    def raising(*_: object) -> None:
        raise error

    monkeypatch.setattr("apps.strategies.asking.Sandbox", raising)


@pytest.mark.parametrize(
    ("error", "said"),
    [(RecursionError(), "RecursionError while computing"), (SoftTimeLimitExceeded(), "The task ran longer than")],
    ids=["a fault of ours", "the time limit"],
)
def test_whatever_goes_wrong_is_told_and_tried_again_after_a_while_without_being_counted(monkeypatch, error, said):
    make_prices({"AAA": [10.0]})
    deployment = make_active(make_portfolio(), parameters={"weights": {}}, symbols=["AAA"])
    fails_with(monkeypatch, error)
    with pytest.raises(type(error)):
        run(deployment)
    assert deployment.failures_in_row == 0
    assert said in deployment.last_error
    assert submit_due_runs() == 0
    pass_retry(deployment)
    assert submit_due_runs() == 1


@pytest.mark.parametrize("error", [OperationalError(), InterfaceError(), RedisError(), JobStoppedError()])
def test_task_that_goes_on_by_itself_tells_no_error(monkeypatch, error):
    make_prices({"AAA": [10.0]})
    deployment = make_active(make_portfolio(), parameters={"weights": {}}, symbols=["AAA"])
    fails_with(monkeypatch, error)
    with pytest.raises(type(error)):
        run(deployment)
    assert (deployment.last_error, deployment.last_error_at) == ("", None)


def test_task_that_failed_without_a_word_on_the_deployment_is_waited_after():
    """As where its worker was killed again and again, or the connection was gone when the error was to be noted."""
    make_prices({"AAA": [10.0]})
    deployment, other = (make_active(make_portfolio(), symbols=["AAA"]) for _ in range(2))
    task = due.submit_run(deployment)
    end_task(task.pk, Task.Status.FAILED, attempt=0, error={"code": "lost"})
    assert submit_due_runs() == 1
    assert Task.objects.get(status="processing").inputs["deployment_id"] == other.pk
    pass_retry(deployment)
    assert submit_due_runs() == 1


def test_failure_on_older_prices_does_not_hurry_what_fails_now(monkeypatch):
    deployment = failed_deployment()
    make_prices({"BBB": [50.0]})
    fails_with(monkeypatch, SandboxUnavailableError("No seccomp here.", "Install libseccomp2."))
    with pytest.raises(SandboxUnavailableError):
        run(deployment)
    assert submit_due_runs() == 0


def test_error_that_is_not_counted_is_tried_again_after_a_while(monkeypatch):
    make_prices({"AAA": [10.0]})
    deployment = make_active(make_portfolio(), parameters={"weights": {}}, symbols=["AAA"])

    def unavailable(*_: object) -> None:
        raise SandboxUnavailableError("No seccomp here.", "Install libseccomp2.")

    monkeypatch.setattr("apps.strategies.asking.Sandbox", unavailable)
    with pytest.raises(SandboxUnavailableError):
        run(deployment)
    deployment.refresh_from_db()
    assert (deployment.failures_in_row, deployment.last_error) == (0, "No seccomp here. Install libseccomp2.")
    assert submit_due_runs() == 0
    pass_retry(deployment)
    assert submit_due_runs() == 1


def test_one_that_cannot_be_looked_at_does_not_stop_the_others(monkeypatch):
    make_prices()
    broken, _ = make_active(make_portfolio()), make_active(make_portfolio())
    has_work = due.has_work

    def failing(deployment, matrix):
        if deployment.pk == broken.pk:
            raise RuntimeError
        return has_work(deployment, matrix)

    monkeypatch.setattr(due, "has_work", failing)
    assert submit_due_runs() == 1
