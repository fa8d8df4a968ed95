"""Workers, queues, the scheduler and the sockets, by what each leaves in Redis and PostgreSQL."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from apps.operations.checks import standing_still
from apps.operations.checks.queues import check_queues, queue_of
from apps.operations.checks.scheduler import check_scheduler
from apps.operations.checks.standing_still import Standing
from apps.operations.checks.websocket import check_websocket
from apps.operations.checks.workers import SERVICES, check_workers
from apps.operations.findings import Health, Status
from apps.operations.naming import words_for_all
from apps.operations.tests.alive import (
    a_scheduler,
    a_worker,
    forget_all,
    say_all_workers,
    say_scheduler,
    say_worker,
)
from apps.realtime.tests.said_processes import report, said_processes
from apps.tasks.tests.factories import make_task
from nautilus.connections import redis_client


@pytest.fixture(autouse=True)
def _nobody_yet(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(standing_still.STANDING, "_seen", {})
    forget_all()
    yield
    forget_all()


def told(health: Health) -> list[tuple[str, str]]:
    return [(finding.status.value, finding.section) for finding in health.findings]


def stands_since(queue: str, seconds: float) -> None:
    """As if the first look at the queue's next message had been so long ago."""
    standing_still.STANDING.look(redis_client(), [queue])
    digest, at = standing_still.STANDING._seen[queue]
    standing_still.STANDING._seen[queue] = (digest, at - seconds)


# --- Workers ----------------------------------------------------------------------------------------------
def test_workers_of_all_queues_are_healthy():
    say_all_workers()
    assert told(check_workers()) == []
    assert check_workers().detail == "5 workers alive, 0 of 10 slots busy"


def test_every_queue_is_served_by_a_service_of_the_procfile(settings):
    assert set(SERVICES) == set(settings.CELERY_TASK_QUEUES)


def test_queue_without_a_worker_is_unhealthy_and_names_the_service():
    say_all_workers(without="strategy_queue")
    redis_client().lpush("strategy_queue", "a", "b")
    (finding,) = check_workers().findings
    assert finding.symptom == "Nobody takes from strategy_queue: 2 messages wait"
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "workers-all-gone")
    assert finding.remedy == "scripts/restart-service.sh strategy-deployer"


def test_queue_whose_only_worker_is_silent_has_none():
    say_all_workers(without="risk_queue")
    say_worker(a_worker("risk_queue"), silent_seconds=16)
    (finding,) = check_workers().findings
    assert finding.section == "workers-all-gone"
    assert "risk_queue@host has been silent for 16 s" in finding.cause


def test_silent_worker_beside_one_that_lives_is_degraded():
    say_all_workers()
    say_worker(a_worker("risk_queue", worker="risk-worker@other"), silent_seconds=20)
    assert told(check_workers()) == [("degraded", "worker-killed")]


def test_worker_that_is_silent_for_long_is_not_missed_where_another_serves():
    say_all_workers()
    say_worker(a_worker("risk_queue", worker="risk-worker@other"), silent_seconds=400)
    assert told(check_workers()) == []


def test_free_worker_that_takes_nothing_of_what_waits_is_told_of():
    say_all_workers(without="risk_queue")
    say_worker(a_worker("risk_queue", last_received_at=time.time() - 60))
    redis_client().lpush("risk_queue", "first")
    stands_since("risk_queue", seconds=12)
    (finding,) = check_workers().findings
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "worker-not-consuming")
    assert "1 messages wait in risk_queue, the first for 12 s or more, and 2 of its 2 slots are free" in finding.cause


def test_busy_worker_may_leave_messages_waiting():
    say_all_workers(without="risk_queue")
    say_worker(a_worker("risk_queue", active=2, last_received_at=time.time() - 60))
    redis_client().lpush("risk_queue", "first")
    stands_since("risk_queue", seconds=12)
    assert told(check_workers()) == []


def test_queue_that_moves_is_not_standing_still():
    say_all_workers(without="risk_queue")
    say_worker(a_worker("risk_queue", last_received_at=time.time() - 60))
    redis_client().lpush("risk_queue", "first")
    stands_since("risk_queue", seconds=12)
    redis_client().rpop("risk_queue")
    redis_client().lpush("risk_queue", "second")
    assert told(check_workers()) == []


@pytest.mark.parametrize(
    ("said", "section"),
    [
        ("its predecessor ended without a word, as one does that is killed", "worker-killed"),
        ("its predecessor ended itself: its event loop has not turned for 20 s", "worker-not-consuming"),
    ],
)
def test_worker_whose_predecessor_did_not_end_in_order_tells_how(said, section):
    say_all_workers(without="risk_queue")
    say_worker(a_worker("risk_queue", lost=1, last_lost_at=time.time() - 5, last_lost=said))
    assert told(check_workers()) == [("degraded", section)]


def test_pool_process_that_was_killed_lately_is_told_of_as_out_of_memory():
    lost = {"lost": 2, "last_lost_at": time.time() - 5, "last_lost": "signal 9 (SIGKILL) with task 1"}
    say_all_workers(without="risk_queue")
    say_worker(a_worker("risk_queue", **lost))
    (finding,) = check_workers().findings
    assert (finding.status, finding.section) == (Status.DEGRADED, "worker-out-of-memory")
    assert finding.cause.startswith("2 since its start, the last 5 s ago: signal 9 (SIGKILL) with task 1")
    say_worker(a_worker("risk_queue", **{**lost, "last_lost_at": time.time() - 400}))
    assert told(check_workers()) == []


# --- Queues -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "queue"),
    [
        ("risk.analyze", "risk_queue"),
        ("calculate_portfolio_performance", "analytics_queue"),
        ("strategy.deploy", "strategy_queue"),
        ("tests.echo", "maintenance_queue"),
    ],
)
def test_kind_goes_to_its_queue(kind, queue):
    assert queue_of(kind) == queue


@pytest.mark.django_db
@pytest.mark.parametrize(("waited", "status"), [(29, []), (31, ["degraded"]), (301, ["unhealthy"])])
def test_task_that_no_worker_has_ages_its_queue(waited, status):
    make_task("risk.analyze", created_at=timezone.now() - timedelta(seconds=waited))
    found = check_queues().findings
    assert [finding.status.value for finding in found] == status
    assert [finding.section for finding in found] == ["queue-grown-long"] * len(status)


@pytest.mark.django_db
def test_late_queue_without_a_worker_has_its_worker_restarted():
    say_all_workers(without="risk_queue")
    say_worker(a_worker("risk_queue"), silent_seconds=16)
    make_task("risk.analyze", created_at=timezone.now() - timedelta(seconds=31))
    (finding,) = check_queues().findings
    assert finding.cause.endswith("no worker of it is alive.")
    assert finding.remedy == "scripts/restart-service.sh risk-worker"


@pytest.mark.django_db
def test_late_queue_with_a_worker_has_more_than_it_gets_done():
    say_all_workers()
    make_task("risk.analyze", created_at=timezone.now() - timedelta(seconds=31))
    (finding,) = check_queues().findings
    assert finding.cause.endswith("more comes in than its workers get done.")
    assert finding.remedy == "scripts/manage.sh doctor --only queue-lengths worker-tasks"


@pytest.mark.django_db
@pytest.mark.parametrize("code", ["worker_lost", "time_limit_exceeded", "out_of_memory"])
def test_task_that_ended_badly_is_named_to_those_who_may_know_of_all(code):
    error = {"code": code, "detail": "SECRET"}
    task = make_task("risk.stress", status="failed", finished_at=timezone.now(), attempts=3, error=error)
    (finding,) = check_queues().findings
    assert str(task.pk) in str(finding)
    assert "SECRET" in finding.cause
    for_all = str(words_for_all(finding))
    assert str(task.pk) not in for_all
    assert "SECRET" not in for_all


@pytest.mark.django_db
def test_task_that_a_worker_holds_does_not_age_its_queue():
    long_ago, later = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(seconds=10)
    make_task("risk.analyze", created_at=long_ago, lease_expires_at=later)
    assert told(check_queues()) == []


@pytest.mark.django_db
def test_task_that_lost_its_worker_waits_since_then():
    ago = timezone.now() - timedelta(seconds=5)
    make_task("risk.analyze", created_at=timezone.now() - timedelta(hours=1), lease_expires_at=ago)
    assert told(check_queues()) == []


@pytest.mark.django_db
def test_divided_task_that_waits_for_its_parts_does_not_age_its_queue():
    long_ago, later = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(seconds=10)
    whole = make_task("risk.analyze_all", created_at=long_ago)
    make_task("risk.analyze_chunk", part_of=whole, lease_expires_at=later)
    assert told(check_queues()) == []


@pytest.mark.django_db
def test_message_without_a_row_ages_its_queue_by_standing_first():
    redis_client().lpush("alerts_queue", "somebody is told")
    stands_since("alerts_queue", seconds=40)
    (finding,) = check_queues().findings
    assert finding.symptom.startswith("Tasks of alerts_queue wait for 40 s")


@pytest.mark.django_db
def test_task_that_killed_its_workers_is_named():
    error = {"code": "worker_lost", "detail": "The worker died 3 times while it had this task."}
    task = make_task("risk.stress", status="failed", finished_at=timezone.now(), attempts=3, error=error)
    (finding,) = check_queues().findings
    assert finding.symptom == f"The task {task.pk} (risk.stress) killed its workers"
    assert (finding.status, finding.section) == (Status.DEGRADED, "worker-poison-task")
    assert finding.cause == "It was tried 3 times, and given up: The worker died 3 times while it had this task."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "section"), [("time_limit_exceeded", "analytics-over-time"), ("out_of_memory", "worker-out-of-memory")]
)
def test_task_that_took_too_much_is_named(code, section):
    error = {"code": code, "detail": "The task ran longer than 300 s.", "remedy": "Ask for less at once."}
    task = make_task("risk.backtest", status="failed", finished_at=timezone.now(), attempts=1, error=error)
    (finding,) = check_queues().findings
    assert (finding.status, finding.section) == (Status.DEGRADED, section)
    assert finding.cause == f"The task {task.pk}: The task ran longer than 300 s. Ask for less at once."


@pytest.mark.django_db
def test_task_that_killed_its_workers_long_ago_is_not_told_of():
    error = {"code": "worker_lost", "detail": ""}
    make_task("risk.stress", status="failed", finished_at=timezone.now() - timedelta(minutes=16), error=error)
    assert told(check_queues()) == []


def test_message_that_is_replaced_begins_to_stand_anew():
    standing, client, name = Standing(), redis_client(), f"queue-{uuid4()}"
    client.lpush(name, "first")
    assert standing.look(client, [name]) == {name: 1}
    standing._seen[name] = (standing._seen[name][0], standing._seen[name][1] - 50)
    standing.look(client, [name])
    assert standing.seconds(name) >= 50
    client.lpush(name, "second")
    client.rpop(name)
    standing.look(client, [name])
    assert standing.seconds(name) < 50
    client.delete(name)
    standing.look(client, [name])
    assert standing.seconds(name) == 0


# --- The scheduler ----------------------------------------------------------------------------------------
def test_leading_scheduler_is_healthy_with_another_standing_by():
    say_scheduler(a_scheduler())
    say_scheduler(a_scheduler("second@host", leads=False))
    health = check_scheduler()
    assert told(health) == []
    assert health.detail.endswith("1 stand by")


@pytest.mark.parametrize(
    ("pulses", "cause"),
    [
        ([], "No scheduler has said anything in the last hour."),
        ([(a_scheduler(), 20)], "scheduler@host has been silent for 20 s"),
        ([(a_scheduler(leads=False), 0)], "1 schedulers run and none of them leads"),
    ],
)
def test_without_a_leading_scheduler_nothing_happens_by_itself(pulses, cause):
    for pulse, silent_seconds in pulses:
        say_scheduler(pulse, silent_seconds)
    (finding,) = check_scheduler().findings
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "scheduler-gone")
    assert finding.cause.startswith(cause)


def test_two_that_lead_are_told_of():
    say_scheduler(a_scheduler("first@host"))
    say_scheduler(a_scheduler("second@host"))
    (finding,) = check_scheduler().findings
    assert (finding.section, finding.cause) == ("scheduler-two", "first@host, second@host all lead.")


# --- The sockets ------------------------------------------------------------------------------------------
@pytest.fixture
def hubs() -> Iterator[Any]:
    with said_processes() as say:
        yield say


def lately(**counted: int) -> dict[str, int]:
    return {**dict.fromkeys(("turned_away", "refused_origins", "dropped", "slow_consumers"), 0), **counted}


def test_quiet_web_process_is_healthy(hubs):
    hubs(report(lately=lately()))
    health = check_websocket()
    assert told(health) == []
    assert health.detail == "1 processes, 0 of 2000 sockets, 0 users"


def test_without_a_web_process_nothing_arrives():
    (finding,) = check_websocket().findings
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "sockets-subscribed-but-silent")


def test_web_process_that_does_not_answer_is_told_of(hubs):
    hubs(report("host-a:1"))
    hubs(None)
    (finding,) = check_websocket().findings
    assert finding.status == Status.DEGRADED
    assert finding.cause == "1 of 2 web processes did not answer within 0.8 s."


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"active": 1801}, [("degraded", "sockets-pool-exhausted")]),
        ({"active": 1800}, []),
        ({"active": 2000, "lately": lately(turned_away=3)}, [("unhealthy", "sockets-pool-exhausted")]),
        (
            {"lately": lately(refused_origins=1), "last_refused_origin": "https://evil.example"},
            [("degraded", "sockets-refused-by-origin")],
        ),
        ({"lately": lately(slow_consumers=1, dropped=1000)}, [("degraded", "sockets-slow-delivery")]),
        ({"latency_counts": {"250": 10}}, [("degraded", "sockets-slow-delivery")]),  # 0.01 ms · 1.05^250 = 1,983 ms
        ({"latency_counts": {"200": 10}}, []),  # 173 ms
        ({"stale": 2}, [("degraded", "sockets-stale-connections")]),
    ],
)
def test_web_process_tells_its_symptom(hubs, changed, expected):
    hubs(report(**changed))
    assert told(check_websocket()) == expected


def test_refused_origin_is_named(hubs):
    hubs(report(lately=lately(refused_origins=2), last_refused_origin="https://evil.example"))
    (finding,) = check_websocket().findings
    assert finding.cause.startswith("2 in the last minute, the last of a page of 'https://evil.example'")
    assert "NAUTILUS_TRUSTED_ORIGINS: only if the page is yours" in finding.remedy
    assert "evil.example" not in finding.remedy  # it may be run by a shell
