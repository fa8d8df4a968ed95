"""PostgreSQL, Redis and the disk: faults of real servers, made and taken back."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db.utils import OperationalError
from psycopg import errors

from apps.operations import machine
from apps.operations.checks import disk
from apps.operations.checks.database import _of_recovery
from apps.operations.checks.disk import check_disk
from apps.operations.checks.redis import check_redis
from apps.operations.checks.redis_hosts import judged
from apps.operations.findings import Finding, Health, Status
from apps.operations.running import ComponentHealth, run_checks
from apps.operations.stores import database_finding, words_of
from apps.operations.tests.web_process import test_database_url
from nautilus.cache.keys import is_entry
from nautilus.connections import redis_client
from nautilus.replication import HostState

MIB = 2**20


def database() -> ComponentHealth:
    """In a thread, as always: with a connection of its own."""
    return run_checks(["database"])["database"]


def only(health: Health) -> Finding:
    (finding,) = health.findings
    return finding


# --- PostgreSQL -------------------------------------------------------------------------------------------
@contextmanager
def connections(count: int) -> Iterator[ExitStack]:
    """So many more connections of others, as far as the server takes them."""
    with ExitStack() as opened:
        for _ in range(count):
            opened.enter_context(psycopg.connect(test_database_url()))
        yield opened


@pytest.mark.django_db(transaction=True)
def test_connections_near_their_limit_are_degraded_then_unhealthy_then_refused():
    assert database().status == Status.HEALTHY
    with connections(82) as opened:
        few = only(database().health)
        assert (few.status, few.section) == (Status.DEGRADED, "database-pool-exhausted")
        opened.enter_context(connections(14))
        exhausted = only(database().health)
        assert (exhausted.status, exhausted.section) == (Status.UNHEALTHY, "database-pool-exhausted")
        with pytest.raises(psycopg.OperationalError, match=r"too many clients|connection slots"):
            opened.enter_context(connections(10))
        with connections_until_full():
            refused = only(database().health)
        assert (refused.status, refused.section) == (Status.UNHEALTHY, "database-pool-exhausted")
        assert "too many clients" in refused.cause
    assert database().status == Status.HEALTHY


@contextmanager
def connections_until_full() -> Iterator[None]:
    with ExitStack() as opened:
        try:
            while True:
                opened.enter_context(psycopg.connect(test_database_url()))
        except psycopg.OperationalError:
            yield


@pytest.mark.parametrize(
    ("error", "section", "symptom"),
    [
        (errors.TooManyConnections("sorry, too many clients already"), "database-pool-exhausted", "takes no more"),
        (errors.CannotConnectNow("the database system is starting up"), "database-connection-lost", "recovers or"),
        (errors.DiskFull("could not extend file: No space left on device"), "disk-full", "cannot write"),
        (errors.QueryCanceled("canceling statement due to statement timeout"), "database-slow-query", "over its limit"),
        (
            errors.InvalidPassword('password authentication failed for user "x"'),
            "database-connection-lost",
            "nobody in",
        ),
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), "database-connection-lost", "gives no answer"),
        (psycopg.OperationalError("Connection refused"), "database-connection-lost", "cannot be reached"),
    ],
)
def test_error_of_the_database_is_told_by_its_meaning(error, section, symptom):
    wrapped = OperationalError(*error.args)
    wrapped.__cause__ = error
    finding = database_finding(wrapped)
    assert finding.section == section
    assert symptom in finding.symptom


def test_server_that_refuses_the_user_asks_for_another_database_url_and_no_restart():
    _, _, host_and_name = test_database_url().rpartition("@")
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(f"postgresql://nobody_of_this_name:wrong@{host_and_name}")
    wrapped = OperationalError(*refused.value.args)
    wrapped.__cause__ = refused.value
    finding = database_finding(wrapped)
    assert finding.symptom == "The database lets nobody in"
    assert finding.remedy.startswith("Set user and password of DATABASE_URL right")


def test_standby_is_promoted_and_not_restarted():
    finding = _of_recovery(True)
    assert "pg_promote()" in finding.remedy
    assert "DATABASE_URL" in finding.remedy


def test_words_of_an_error_stand_on_one_line_and_end():
    assert words_of(ValueError("one\n  two")) == "one two"
    assert words_of(ValueError()) == "ValueError"
    assert len(words_of(ValueError("x" * 1000))) == 301


# --- Redis ------------------------------------------------------------------------------------------------
@pytest.fixture
def config() -> Iterator[Any]:
    """CONFIG SET on the tests' Valkey, taken back at the end."""
    client = redis_client()
    yield lambda **values: [client.config_set(name.replace("_", "-"), value) for name, value in values.items()]
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")


def used_memory() -> int:
    return int(redis_client().info("memory")["used_memory"])


def test_redis_that_takes_writes_is_healthy():
    health = check_redis()
    assert health.findings == ()
    assert "MiB used and no maxmemory" in health.detail


def test_memory_near_its_limit_is_degraded(config):
    config(maxmemory=int(used_memory() / 0.88))
    finding = only(check_redis())
    assert (finding.status, finding.section) == (Status.DEGRADED, "redis-memory-full")


def test_memory_that_is_made_free_by_throwing_messages_away_is_degraded(config):
    config(maxmemory_policy="allkeys-lru")
    assert check_redis().findings == ()  # without maxmemory nothing is thrown away
    config(maxmemory=used_memory() * 10)
    finding = only(check_redis())
    assert (finding.status, finding.section) == (Status.DEGRADED, "redis-memory-full")
    assert finding.cause.startswith("maxmemory-policy is allkeys-lru; expected noeviction")
    assert finding.remedy == "scripts/manage.sh doctor --only redis-memory"


def test_write_that_is_refused_for_memory_is_unhealthy(config):
    config(maxmemory=used_memory() // 2)
    finding = only(check_redis())
    assert (finding.status, finding.section) == (Status.UNHEALTHY, "redis-memory-full")
    assert finding.cause.startswith("A write was refused")


def test_full_memory_is_mended_by_dropping_cached_answers(config):
    client = redis_client()
    keys = [f"risk:analyze:{number}:{'f' * 32}" for number in range(4)]
    assert all(is_entry(key) for key in keys)
    before = used_memory()
    for key in keys:
        client.hset(key, "body", "x" * MIB)
    config(maxmemory=before + MIB)
    finding = only(check_redis())
    assert finding.remedy == "scripts/manage.sh doctor --fix --only redis"
    assert finding.fix() == "dropped 4 cached answers"
    assert check_redis().status != Status.UNHEALTHY


def test_replica_that_lost_its_primary_takes_no_write():
    client = redis_client()
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        findings = check_redis().findings
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")
    assert {finding.section for finding in findings} == {"redis-primary-lost"}
    assert findings[0].symptom == "Redis takes no write"
    assert "127.0.0.1:1" in findings[1].cause
    assert check_redis().findings == ()


@pytest.mark.parametrize(
    ("url", "symptom", "remedy"),
    [
        ("redis://127.0.0.1:1/0", "Redis cannot be reached", "scripts/restart-service.sh redis"),
        ("WRONG PASSWORD", "Redis lets nobody in", "Set the password of REDIS_URL right"),
    ],
)
def test_redis_that_is_not_there_or_lets_nobody_in(settings, url, symptom, remedy):
    host = settings.REDIS_URL.rpartition("@")[2]
    settings.REDIS_URL = f"redis://:wrong@{host}" if url == "WRONG PASSWORD" else url
    finding = only(check_redis())
    assert (finding.symptom, finding.status) == (symptom, Status.UNHEALTHY)
    assert finding.remedy.startswith(remedy)


# --- The disk ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("free", "total", "status"),
    [
        (100_000 * MIB, 258_000 * MIB, None),
        (25_799 * MIB, 258_000 * MIB, Status.DEGRADED),  # 9.99 %
        (7_739 * MIB, 258_000 * MIB, Status.UNHEALTHY),  # 2.99 %
        (150 * MIB, 1_500 * MIB, None),  # 10 %
        (127 * MIB, 1_000 * MIB, Status.UNHEALTHY),  # 12.7 %, and less than 128 MiB
    ],
)
def test_free_space_is_judged_by_share_and_by_size(free, total, status):
    found = disk._of_space({"data": (Path("/data"), free, total), "more data": (Path("/more"), free, total)})
    assert [finding.status for finding in found] == ([status] if status else [])
    if found:
        assert "data (/data), more data (/more)" in found[0].cause


def test_folders_that_are_not_here_are_left_out(settings, tmp_path):
    settings.NAUTILUS_HOME, settings.MATRIX_DIR = tmp_path, tmp_path / "none"
    machine.remember_database_folder("/nowhere/at/all")
    try:
        assert set(machine.data_folders()) == {"NAUTILUS_HOME", "temporary files"}
    finally:
        machine._database_folder.clear()


@pytest.mark.parametrize(("minutes", "sections"), [(1, ["disk-full"]), (6, [])])
def test_error_of_a_full_disk_is_told_of_for_a_while(settings, tmp_path, minutes, sections):
    settings.NAUTILUS_HOME = tmp_path
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    line = f"{at:%Y-%m-%d %H:%M:%S}.123 UTC [77] ERROR:  could not extend file: No space left on device\n"
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "postgres.log").write_text(f"started\n{line}HINT:  Check free disk space.\n")
    assert [finding.section for finding in disk._of_errors()] == sections


def test_disk_of_this_machine_is_told_with_its_figures():
    assert "MiB free of" in check_disk().detail


# --- Several Redis servers --------------------------------------------------------------------------------
PRIMARY = HostState("a:1", role="master", is_primary=True, offset=100)
REPLICA = HostState("b:1", role="slave", offset=100, behind_bytes=0, link="up", follows="a:1")


@pytest.mark.parametrize(
    ("hosts", "symptoms"),
    [
        ([PRIMARY, REPLICA], []),
        ([PRIMARY, HostState("b:1", error="Connection refused")], ["Redis at b:1 is away"]),
        ([PRIMARY, replace(REPLICA, link="down")], ["Redis at b:1 does not follow its primary"]),
        ([PRIMARY, HostState("b:1", role="master", offset=90)], ["The old primary b:1 is back"]),
    ],
)
def test_server_that_could_not_take_the_primarys_place_is_told_of(hosts, symptoms):
    found = judged(hosts)
    assert [finding.symptom for finding in found] == symptoms
    assert {(finding.status, finding.section) for finding in found} <= {(Status.DEGRADED, "redis-primary-lost")}


def test_list_of_servers_of_which_none_answers_has_lost_its_primary(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0;redis://127.0.0.1:2/0"
    first, *others = check_redis().findings
    assert (first.status, first.section) == (Status.UNHEALTHY, "redis-primary-lost")
    assert first.remedy == "scripts/manage.sh redis_failover --status"
    assert [finding.symptom for finding in others] == ["Redis at 127.0.0.1:1 is away", "Redis at 127.0.0.1:2 is away"]
