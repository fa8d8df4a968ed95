"""The runner: limits, sharing, and whom it blames."""

import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.utils import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from apps.operations.blame import finding_of_error, finding_of_silence
from apps.operations.checks.registry import CHECKS, COMPONENTS
from apps.operations.findings import Finding, Health, Status
from apps.operations.running import is_hanging, run_all, run_checks


def test_every_component_of_the_contract_has_a_check():
    assert set(CHECKS) == set(COMPONENTS)


def test_name_that_is_no_component_is_refused():
    with pytest.raises(ValueError, match="'databse' is no component; expected some of database, redis"):
        run_checks(["databse"])


def test_components_come_in_the_contracts_order():
    assert list(run_checks(["disk", "redis"])) == ["redis", "disk"]


def test_check_that_hangs_is_told_of_and_not_started_a_second_time():
    release, started = threading.Event(), []

    def hang() -> Health:
        started.append(1)
        release.wait(30)
        return Health("well again")

    begun = time.monotonic()
    first = run_all({"disk": hang, "quick": lambda: Health("fine")}, seconds=0.3)
    assert time.monotonic() - begun < 1.5  # of a limit of 0.3 s, and not of the 30 s that it hangs
    second = run_all({"disk": hang}, seconds=0.3)
    assert first["quick"].status == Status.HEALTHY
    for told in (first["disk"], second["disk"]):
        assert told.status == Status.UNHEALTHY
        assert "there is no answer since" in told.health.leading.symptom
    assert second["disk"].latency_ms >= first["disk"].latency_ms
    assert is_hanging("disk", seconds=0.3)
    assert started == [1]
    release.set()
    while is_hanging("disk", seconds=0):
        time.sleep(0.01)
    assert run_all({"disk": lambda: Health("well again")})["disk"].status == Status.HEALTHY


def test_two_callers_at_once_share_a_check():
    release, started = threading.Event(), []

    def slow() -> Health:
        started.append(1)
        release.wait(30)
        return Health("done")

    answers = []
    first = threading.Thread(target=lambda: answers.append(run_all({"shared": slow}, seconds=20)))
    first.start()
    while not started:
        time.sleep(0.01)
    threading.Timer(0.2, release.set).start()
    answers.append(run_all({"shared": slow}, seconds=20))
    first.join(30)
    assert [answer["shared"].health.detail for answer in answers] == ["done"] * 2
    assert started == [1]


def test_check_that_gets_no_thread_says_so_and_is_run_again_at_the_next_look():
    usual = threading.stack_size(2**46)  # more than the machine has: no thread can be started
    try:
        finding = run_all({"disk": lambda: Health("fine")})["disk"].health.leading
    finally:
        threading.stack_size(usual)
    assert finding.cause == "Its check failed with RuntimeError: can't start new thread"
    assert run_all({"disk": lambda: Health("fine")})["disk"].health == Health("fine")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_check_whose_connection_cannot_be_closed_has_ended_all_the_same():
    threads = []

    def ask() -> Health:
        threads.append(threading.current_thread())
        connection.close = lambda: 1 / 0  # of this thread, which ends with it
        return Health("answered")

    assert run_all({"asks": ask}, seconds=20)["asks"].health == Health("answered")
    assert not is_hanging("asks", seconds=0)
    threads[0].join()


def test_exception_becomes_a_finding_that_names_it():
    def broken() -> Health:
        raise KeyError("latency")

    finding = run_all({"websocket": broken})["websocket"].health.leading
    assert finding.status == Status.UNHEALTHY
    assert finding.cause == "Its check failed with KeyError: 'latency'"
    assert finding.remedy == "scripts/manage.sh doctor --only websocket"


def test_error_of_the_database_blames_the_database():
    def failing() -> Health:
        raise OperationalError('connection to server at "127.0.0.1", port 1 failed: Connection refused')

    finding = run_all({"deployments": failing})["deployments"].health.leading
    assert finding.symptom == "How deployments does is not known"
    assert finding.cause.startswith("The database cannot be reached.")
    assert finding.link == "docs/runbook.md#database-connection-lost"
    assert finding.remedy == "scripts/restart-service.sh postgres"


def test_error_of_redis_blames_redis():
    def failing() -> Health:
        raise RedisConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused.")

    finding = run_all({"scheduler": failing})["scheduler"].health.leading
    assert finding.cause.startswith("Redis cannot be reached.")
    assert finding.link == "docs/runbook.md#redis-time-outs"


SEVERAL = "redis://127.0.0.1:1/0;redis://127.0.0.1:2/0"


@pytest.mark.parametrize("component", ["redis", "scheduler"])
@pytest.mark.parametrize("error", [RedisConnectionError("refused"), RedisTimeoutError("Timeout reading from socket")])
def test_error_of_redis_means_a_lost_primary_where_there_are_several_servers(settings, component, error):
    settings.REDIS_URL = SEVERAL
    finding = finding_of_error(component, error)
    assert (finding.section, finding.remedy) == ("redis-primary-lost", "scripts/manage.sh redis_failover --status")


@pytest.mark.parametrize("component", ["redis", "scheduler"])
def test_silence_of_redis_means_a_lost_primary_where_there_are_several_servers(settings, component):
    settings.REDIS_URL = SEVERAL
    finding = finding_of_silence(component, "redis", datetime.now(UTC), 1.7)
    assert (finding.section, finding.remedy) == ("redis-primary-lost", "scripts/manage.sh redis_failover --status")


def test_check_that_waits_for_no_store_leads_to_the_doctor():
    assert finding_of_silence("disk", None, datetime.now(UTC), 1.7).remedy == "scripts/manage.sh doctor"


@pytest.mark.django_db(transaction=True)
def test_thread_closes_its_connection_at_its_end():
    before = connections_of_this_database()

    def ask() -> Health:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return Health(str(cursor.fetchone()[0]))

    pid = int(run_all({"asks": ask})["asks"].health.detail)
    deadline = time.monotonic() + 20
    while pid in connections_of_this_database() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert connections_of_this_database() <= before | set()
    assert pid not in before


def connections_of_this_database() -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return {row[0] for row in cursor.fetchall()}


def test_leading_finding_is_the_first_of_the_worst():
    degraded = Finding(Status.DEGRADED, "slow", "c", "r", "disk-full")
    first = Finding(Status.UNHEALTHY, "gone", "c", "r", "web-gone")
    second = Finding(Status.UNHEALTHY, "gone too", "c", "r", "web-gone")
    told = run_all({"several": lambda: Health("d", (degraded, first, second))})["several"].as_dict()
    assert (told["status"], told["symptom"], told["link"]) == ("unhealthy", "gone", "docs/runbook.md#web-gone")
    assert [finding["symptom"] for finding in told["findings"]] == ["slow", "gone", "gone too"]


def test_component_that_is_well_has_no_words():
    told = run_all({"fine": lambda: Health("all of 3")})["fine"].as_dict()
    assert told.pop("latency_ms") >= 0
    assert told == {
        "status": "healthy",
        "detail": "all of 3",
        "findings": [],
        **dict.fromkeys(("symptom", "cause", "remedy", "link")),
    }
