"""What many do to deployments at the same moment has one outcome, and everybody is told which.

A lost race is made, not hoped for: `queued` holds the rows that all of them need, starts one after the other, sees in
PostgreSQL that each waits, and lets go. Whoever stands first goes first, so each pair is tried in both orders.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_client, make_portfolio, make_prices, make_user
from apps.strategies import deployments
from apps.strategies.deployments import submit_pipeline
from apps.strategies.models import IN_PIPELINE, Deployment, StrategyVersion
from apps.strategies.pipeline.job import run_deploy
from apps.strategies.rollback import roll_back_by_itself
from apps.strategies.tests.api_factories import URL, detail_of, errors_of, make_deployment, make_versions
from apps.strategies.tests.racing import Call, at_once, queued
from apps.tasks.execution import Job, Outcome, execute, take
from apps.tasks.models import Task

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

Status = Deployment.Status

DEPLOY = f"{URL}/deploy"
ROLL_BACK = f"{URL}/rollback"
CLEAR = f"{URL}/deployments/clear-stuck"
ASKED = {"strategy_id": "STRATEGY_001", "version": 1, "portfolio_id": "BOOK", "environment": "paper"}
A_BROKER = "apps.strategies.brokers.paper.PaperBroker"
CALLERS = 20
IN_LINE = 8

both_orders = pytest.mark.parametrize("backwards", [False, True], ids=["first", "last"])


@pytest.fixture(autouse=True)
def versions() -> list[StrategyVersion]:
    make_prices()
    make_portfolio("BOOK")
    return make_versions(count=3)


@pytest.fixture
def admin() -> APIClient:
    return speaking_client("admin")


@pytest.fixture
def rita() -> APIClient:
    return speaking_client("risk_manager")


def speaking_client(role: str) -> APIClient:
    """One that is answered 500 where the platform has a fault, as any client is."""
    client = make_client(make_user(role))
    client.raise_request_exception = False
    return client


HOLD_DEPLOYMENTS = "SELECT 1 FROM deployments WHERE id = ANY(%s) FOR NO KEY UPDATE"


def codes(answers: Sequence[Any]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def deployed(version: StrategyVersion, name: str, **fields: Any) -> Deployment:
    return make_deployment(version, Portfolio.objects.get(pk="BOOK"), name, **fields)


def statuses() -> dict[str, str]:
    return dict(Deployment.objects.order_by("pk").values_list("pk", "status"))


# --- Asking ------------------------------------------------------------------------------------------------------


def test_twenty_who_deploy_to_one_portfolio_at_once_bring_one_on_its_way() -> None:
    clients = [speaking_client("strategist") for _ in range(CALLERS)]
    answers = at_once([partial(client.post, DEPLOY, ASKED) for client in clients])
    assert codes(answers) == [202] + [409] * (CALLERS - 1)
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {errors_of(answer)[0][0] for answer in refused} == {"deployment_under_way"}
    assert all("DEPLOY_001 is on its way to BOOK" in detail_of(answer) for answer in refused)
    assert statuses() == {"DEPLOY_001": Status.PENDING}
    assert Task.objects.count() == 1


def test_eight_who_stand_in_line_for_the_next_id_bring_one_on_its_way() -> None:
    clients = [speaking_client("strategist") for _ in range(IN_LINE)]
    calls = [partial(client.post, DEPLOY, ASKED) for client in clients]
    answers = queued(calls, "SELECT pg_advisory_xact_lock(%s)", deployments._DEPLOYING_LOCK)
    assert [answer.status_code for answer in answers] == [202] + [409] * (IN_LINE - 1)
    assert statuses() == {"DEPLOY_001": Status.PENDING}


def test_deployments_to_twenty_portfolios_at_once_get_twenty_ids() -> None:
    client = speaking_client("strategist")
    books = [make_portfolio(f"BOOK_OF_{number}").pk for number in range(CALLERS)]
    answers = at_once([partial(client.post, DEPLOY, ASKED | {"portfolio_id": book}) for book in books])
    assert codes(answers) == [202] * CALLERS
    given = [answer.json()["deployment_id"] for answer in answers]
    assert sorted(given) == [f"DEPLOY_{number:03d}" for number in range(1, CALLERS + 1)]
    assert {row.pk: row.portfolio_id for row in Deployment.objects.all()} == dict(zip(given, books, strict=True))
    assert len({answer.json()["task_id"] for answer in answers}) == CALLERS


def test_paper_and_live_deployments_of_one_portfolio_go_side_by_side(admin: APIClient, settings: Any) -> None:
    settings.LIVE_BROKER = A_BROKER
    calls = [partial(admin.post, DEPLOY, ASKED | {"environment": name}) for name in ("paper", "live") * 5]
    answers = at_once(calls)
    assert codes(answers) == [202] * 2 + [409] * 8
    assert sorted(Deployment.objects.values_list("environment", flat=True)) == ["live", "paper"]


# --- Approving ---------------------------------------------------------------------------------------------------


@pytest.fixture
def running(versions: list[StrategyVersion]) -> Deployment:
    """DEPLOY_001, live and active."""
    return deployed(versions[0], "DEPLOY_001", environment="live")


@pytest.fixture
def waiting(versions: list[StrategyVersion], running: Deployment, settings: Any) -> Deployment:
    """DEPLOY_002, which waits to take its place."""
    settings.LIVE_BROKER = A_BROKER
    return deployed(versions[1], "DEPLOY_002", environment="live", status="awaiting_approval")


APPROVE = f"{URL}/deployments/DEPLOY_002/approve"


@both_orders
def test_of_two_who_approve_at_once_one_is_told_that_it_is_active_already(
    waiting: Deployment, running: Deployment, backwards: bool
) -> None:
    approvers = [make_user("risk_manager"), make_user("risk_manager")]
    clients = [make_client(user) for user in approvers]
    calls = [partial(client.post, APPROVE) for client in clients]
    answers = queued(calls, HOLD_DEPLOYMENTS, [waiting.pk], backwards=backwards)
    assert codes(answers) == [200, 409]
    (won,) = [user for user, answer in zip(approvers, answers, strict=True) if answer.status_code == 200]
    (lost,) = [answer for answer in answers if answer.status_code == 409]
    assert (errors_of(lost)[0][0], "DEPLOY_002 is active" in detail_of(lost)) == ("deployment_state", True)
    waiting.refresh_from_db()
    assert (waiting.approved_by, waiting.previous) == (won, running)
    assert waiting.steps.get(name="activate").log.count("approved it") == 1
    assert statuses() == {"DEPLOY_001": Status.SUPERSEDED, "DEPLOY_002": Status.ACTIVE}


@both_orders
@pytest.mark.parametrize("force", [False, True])
def test_approved_and_rolled_back_at_once_it_is_one_of_both(
    waiting: Deployment, admin: APIClient, rita: APIClient, force: bool, backwards: bool
) -> None:
    calls = [
        partial(rita.post, APPROVE),
        partial(admin.post, ROLL_BACK, {"deployment_id": "DEPLOY_002", "force": force}),
    ]
    approved, rolled_back = queued(calls, HOLD_DEPLOYMENTS, [waiting.pk], backwards=backwards)
    if approved.status_code == 200:
        assert (rolled_back.status_code, errors_of(rolled_back)[0][0]) == (409, "deployment_state")
        assert statuses() == {"DEPLOY_001": Status.SUPERSEDED, "DEPLOY_002": Status.ACTIVE}
    else:
        assert (approved.status_code, rolled_back.status_code) == (409, 202)
        assert statuses() == {"DEPLOY_001": Status.ACTIVE, "DEPLOY_002": Status.ROLLED_BACK}
    assert (approved.status_code == 200) == (not backwards)


@both_orders
def test_approved_while_what_it_replaces_is_rolled_back_by_force_it_is_one_of_both(
    waiting: Deployment, running: Deployment, admin: APIClient, rita: APIClient, backwards: bool
) -> None:
    calls = [
        partial(rita.post, APPROVE),
        partial(admin.post, ROLL_BACK, {"deployment_id": "DEPLOY_001", "force": True}),
    ]
    held = [running.pk, waiting.pk]
    approved, rolled_back = queued(calls, HOLD_DEPLOYMENTS, held, backwards=backwards)
    if approved.status_code == 200:
        assert (rolled_back.status_code, errors_of(rolled_back)[0][0]) == (409, "deployment_state")
        assert statuses() == {"DEPLOY_001": Status.SUPERSEDED, "DEPLOY_002": Status.ACTIVE}
    else:
        assert (approved.status_code, rolled_back.status_code) == (409, 202)
        assert statuses() == {"DEPLOY_001": Status.ROLLED_BACK, "DEPLOY_002": Status.FAILED}
    assert (approved.status_code == 200) == (not backwards)


# --- Rolling back ------------------------------------------------------------------------------------------------


@pytest.fixture
def second(versions: list[StrategyVersion]) -> Deployment:
    """DEPLOY_002 runs and took the place of DEPLOY_001."""
    first = deployed(versions[0], "DEPLOY_001", status="superseded", activated_at=timezone.now())
    return deployed(versions[1], "DEPLOY_002", previous=first)


@pytest.mark.parametrize("forces", [[False, False], [True, True], [False, True], [True, False]])
def test_of_two_who_roll_back_at_once_one_goes_back_once(
    second: Deployment, admin: APIClient, forces: list[bool]
) -> None:
    calls = [partial(admin.post, ROLL_BACK, {"deployment_id": second.pk, "force": force}) for force in forces]
    answers = queued(calls, HOLD_DEPLOYMENTS, [second.pk])
    assert codes(answers) == [202, 409]
    back = Deployment.objects.get(rolls_back=second)
    (done,) = [answer for answer in answers if answer.status_code == 202]
    assert done.json()["deployment_id"] == back.pk == "DEPLOY_003"
    ended = Status.ROLLED_BACK if back.skip_backtest else Status.ACTIVE
    assert statuses() == {"DEPLOY_001": Status.SUPERSEDED, "DEPLOY_002": ended, "DEPLOY_003": Status.PENDING}


def test_eight_who_roll_back_at_once_go_back_once(second: Deployment, admin: APIClient) -> None:
    calls = [
        partial(admin.post, ROLL_BACK, {"deployment_id": second.pk, "force": bool(number % 2)}) for number in range(8)
    ]
    answers = at_once(calls)
    assert codes(answers) == [202] + [409] * 7
    assert Deployment.objects.filter(rolls_back=second).count() == 1
    assert Deployment.objects.filter(status__in=IN_PIPELINE).count() == 1


@both_orders
def test_forced_rollback_and_a_new_deployment_at_once_leave_one_on_its_way(
    second: Deployment, admin: APIClient, backwards: bool
) -> None:
    calls = [
        partial(admin.post, ROLL_BACK, {"deployment_id": second.pk, "force": True}),
        partial(admin.post, DEPLOY, ASKED | {"version": 3}),
    ]
    hold = "SELECT pg_advisory_xact_lock(%s)"
    rolled_back, asked = queued(calls, hold, deployments._DEPLOYING_LOCK, backwards=backwards)
    assert codes([rolled_back, asked]) == [202, 409]
    assert (rolled_back.status_code == 202) == (not backwards)
    ended = Status.ROLLED_BACK if rolled_back.status_code == 202 else Status.ACTIVE
    assert statuses() == {"DEPLOY_001": Status.SUPERSEDED, "DEPLOY_002": ended, "DEPLOY_003": Status.PENDING}


# --- The worker at its last step, and who comes in between -------------------------------------------------------


@pytest.fixture
def coming(second: Deployment, versions: list[StrategyVersion]) -> Deployment:
    """DEPLOY_003 has passed everything and is about to take DEPLOY_002's place."""
    return deployed(versions[2], "DEPLOY_003", status="backtesting")


def activating(deployment: Deployment) -> Call:
    """The worker's last step, begun; the call ends the task and with it activates. It says whether that was done."""
    deployment.steps.exclude(name="activate").update(status="succeeded")
    task = submit_pipeline(deployment, None)
    job = take(str(task.pk), "w1")
    assert job is not None
    outcome = run_deploy(job)
    return partial(is_finished, job, outcome)


def is_finished(job: Job, outcome: Outcome) -> bool:
    execute(job, lambda _: outcome)
    task = Task.objects.get(pk=job.task.pk)
    assert task.status in ("succeeded", "cancelled"), task.error
    return task.status == "succeeded"


@both_orders
def test_cleared_as_stuck_while_the_worker_finishes_it_is_one_of_both(
    coming: Deployment, admin: APIClient, backwards: bool
) -> None:
    Deployment.objects.filter(pk=coming.pk).update(created_at=timezone.now() - timedelta(minutes=31))
    calls: list[Call] = [activating(coming), partial(admin.post, CLEAR, {})]
    finished, cleared = queued(calls, HOLD_DEPLOYMENTS, [coming.pk], backwards=backwards)
    assert (cleared.status_code, finished) == (200, not backwards)
    assert cleared.json()["cleared"] == ([] if finished else ["DEPLOY_003"])
    coming.refresh_from_db()
    if finished:
        assert statuses() | {"DEPLOY_001": ""} == {"DEPLOY_001": "", "DEPLOY_002": "superseded", "DEPLOY_003": "active"}
    else:
        assert statuses() | {"DEPLOY_001": ""} == {"DEPLOY_001": "", "DEPLOY_002": "active", "DEPLOY_003": "failed"}
        assert coming.reason.startswith("Timeout")
        assert coming.steps.get(name="activate").status == "failed"


@both_orders
@pytest.mark.parametrize("force", [False, True])
def test_rolled_back_while_the_worker_finishes_it_is_one_of_both(
    coming: Deployment, admin: APIClient, force: bool, backwards: bool
) -> None:
    calls: list[Call] = [
        activating(coming),
        partial(admin.post, ROLL_BACK, {"deployment_id": coming.pk, "force": force}),
    ]
    finished, rolled_back = queued(calls, HOLD_DEPLOYMENTS, [coming.pk], backwards=backwards)
    assert (finished, rolled_back.status_code) == ((False, 202) if backwards else (True, 409))
    ends = ("active", "rolled_back") if backwards else ("superseded", "active")
    assert statuses() == {"DEPLOY_001": "superseded", "DEPLOY_002": ends[0], "DEPLOY_003": ends[1]}


@both_orders
def test_what_is_replaced_is_rolled_back_by_force_while_the_worker_finishes(
    coming: Deployment, second: Deployment, admin: APIClient, backwards: bool
) -> None:
    calls: list[Call] = [
        activating(coming),
        partial(admin.post, ROLL_BACK, {"deployment_id": second.pk, "force": True}),
    ]
    finished, rolled_back = queued(calls, HOLD_DEPLOYMENTS, [coming.pk, second.pk], backwards=backwards)
    assert (finished, rolled_back.status_code) == ((False, 202) if backwards else (True, 409))
    if finished:
        assert statuses() == {"DEPLOY_001": "superseded", "DEPLOY_002": "superseded", "DEPLOY_003": "active"}
    else:
        told = {"DEPLOY_002": "rolled_back", "DEPLOY_003": "failed", "DEPLOY_004": "pending"}
        assert statuses() == {"DEPLOY_001": "superseded", **told}
        assert Deployment.objects.get(pk="DEPLOY_004").rolls_back == second


def test_force_stops_at_once_what_a_rollback_without_it_waits_for(second: Deployment, admin: APIClient) -> None:
    patient = admin.post(ROLL_BACK, {"deployment_id": second.pk})
    assert (patient.status_code, statuses()[second.pk]) == (202, Status.ACTIVE)
    forced = [admin.post(ROLL_BACK, {"deployment_id": second.pk, "force": True}) for _ in range(2)]
    assert [answer.status_code for answer in forced] == [202, 409]
    assert statuses() == {
        "DEPLOY_001": Status.SUPERSEDED,
        "DEPLOY_002": Status.ROLLED_BACK,
        "DEPLOY_003": Status.FAILED,
        "DEPLOY_004": Status.PENDING,
    }
    assert Task.objects.get(pk=patient.json()["task_id"]).status == "cancelled"


@both_orders
def test_platform_and_a_person_who_roll_back_at_once_go_back_once(
    second: Deployment, admin: APIClient, backwards: bool
) -> None:
    calls: list[Call] = [
        partial(roll_back_by_itself, second.pk, "drawdown of 30.00%"),
        partial(admin.post, ROLL_BACK, {"deployment_id": second.pk}),
    ]
    _, rolled_back = queued(calls, HOLD_DEPLOYMENTS, [second.pk], backwards=backwards)
    assert rolled_back.status_code == (202 if backwards else 409)
    assert Deployment.objects.filter(status__in=IN_PIPELINE).count() == 1
    assert statuses()["DEPLOY_002"] == (Status.ACTIVE if backwards else Status.ROLLED_BACK)
    roll_back_by_itself(second.pk, "drawdown of 30.00%")  # as the next look does, while the gate is broken
    assert statuses()["DEPLOY_002"] == Status.ROLLED_BACK
    assert Deployment.objects.get(status__in=IN_PIPELINE).skip_backtest
