"""PostgreSQL slow, full of sessions, gone and back, and without an index, under a desk that goes on asking."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from nautilus.local.environment import embedded_database_url
from tests.faults.desk import Desk
from tests.running import ANALYZE, wait_until
from tests.scripting import run_on, run_remedy

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

INDEX = "idx_portfolio_risk_timestamp"
PORTFOLIOS = "/api/v1/portfolios"
SECONDS = 90


def doctor(desk: Desk, *arguments: str) -> dict[str, Any]:
    done = run_on(desk.platform, "manage.sh", "doctor", "--json", *arguments)
    assert done.returncode in (0, 1, 2), done.stdout + done.stderr
    return json.loads(done.stdout)


def findings(said: dict[str, Any], name: str, section: str) -> list[dict[str, Any]]:
    found = said["looks"][name]["findings"]
    return [finding for finding in found if finding["link"] == f"docs/runbook.md#{section}"]


@contextmanager
def session(desk: Desk, name: str, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    url = embedded_database_url(desk.platform.home)
    with psycopg.connect(url, application_name=name, autocommit=True, **options) as connection:
        yield connection


def submit(desk: Desk, count: int, start: int) -> list[str]:
    """Analyses that differ, so that none shares another's computation."""
    bodies = [{"portfolio_id": "PORTFOLIO_001", "confidence": 0.93, "window_days": start + n} for n in range(count)]
    return [str(desk.ask("POST", ANALYZE, 202, json=body)["task_id"]) for body in bodies]


def lost_of(desk: Desk, task_ids: list[str]) -> int:
    """How many of the tasks have not succeeded, once all have ended."""
    statement = "SELECT status FROM tasks_task WHERE id = ANY(%s::uuid[])"

    def statuses() -> Counter[str]:
        return Counter(status for (status,) in desk.platform.query(statement, task_ids))

    wait_until(lambda: "processing" not in statuses(), SECONDS * 2, f"{len(task_ids)} tasks to end")
    return len(task_ids) - statuses()["succeeded"]


def answer_of(desk: Desk) -> tuple[int, str]:
    """Status and code of a read; 0 where the process itself does not answer."""
    try:
        with desk.platform.client() as client:
            answer = client.get(PORTFOLIOS)
    except httpx.HTTPError as error:
        return 0, type(error).__name__
    return answer.status_code, "" if answer.status_code < 400 else answer.json()["errors"][0]["code"]


def test_slow_query_is_named_and_ended_by_its_time_limit(desk: Desk, fault_line: Any):
    line = fault_line("database: a slow query")
    statement = "SELECT count(*) FROM portfolios_dailyprice AS a, portfolios_dailyprice AS b WHERE a.close < b.close"
    ended: list[str] = []

    def ask() -> None:
        with session(desk, "nautilus slow", options="-c statement_timeout=25s") as slow:
            try:
                slow.execute(statement)
            except psycopg.errors.QueryCanceled as error:
                ended.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    line.injected()
    (found,) = wait_until(lambda: slow_queries(desk), 25, "the doctor to name it")
    assert statement[:60] in found["cause"]
    line.seen(found["symptom"])
    thread.join(SECONDS)
    assert "statement timeout" in ended[0]
    assert slow_queries(desk) == []
    line.mended(lost=0)


def slow_queries(desk: Desk) -> list[dict[str, Any]]:
    """Ours that runs now: what is slow on average may be anything on a machine under load."""
    found = findings(doctor(desk, "--only", "slow-queries"), "slow-queries", "database-slow-query")
    return [finding for finding in found if "nautilus slow" in finding["symptom"]]


def test_missing_index_is_named_and_created_by_the_doctor(desk: Desk, fault_line: Any):
    line = fault_line("risk: a missing index")
    definition = "SELECT indexdef FROM pg_indexes WHERE indexname = %s"
    before = desk.platform.query(definition, INDEX)
    rows = desk.platform.query("SELECT count(*) FROM risk_metrics")
    desk.platform.run(f"DROP INDEX {INDEX}")
    line.injected()
    (found,) = findings(doctor(desk, "--only", "missing-indexes"), "missing-indexes", "risk-missing-index")
    assert INDEX in found["symptom"]
    line.seen(found["symptom"])
    line.cured()
    run_remedy(desk.platform, found["remedy"])
    assert desk.platform.query(definition, INDEX) == before
    line.mended(lost=0 if desk.platform.query("SELECT count(*) FROM risk_metrics") >= rows else 1)


def test_sessions_that_run_out_are_told_and_made_free_by_the_doctor(desk: Desk, fault_line: Any):
    line = fault_line("database: no more sessions")
    task_ids = submit(desk, 5, 200)
    with ExitStack() as sessions:
        fill(desk, sessions)
        line.injected()
        answers = answers_until(desk, "too_many_connections")
        assert {status for status, _ in answers} <= {200, 503}, answers
        said = desk.wait_for_symptom("database", "database-pool-exhausted", SECONDS)
        line.seen(said["symptom"])
        line.cured()
        run_remedy(desk.platform, said["remedy"])
        desk.wait_until_healthy("database", SECONDS)
        assert answer_of(desk) == (200, "")
        line.mended(lost=lost_of(desk, task_ids))


def fill(desk: Desk, sessions: ExitStack) -> None:
    """Takes every session that there is, those of the web process first, until none is left twice in a row."""
    first = sessions.enter_context(session(desk, "somebody's script"))
    first.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nautilus serve'")
    refused = 0
    while refused < 2:
        try:
            sessions.enter_context(session(desk, "somebody's script"))
        except psycopg.OperationalError:
            refused += 1


def answers_until(desk: Desk, code: str) -> list[tuple[int, str]]:
    answers: list[tuple[int, str]] = []

    def told() -> bool:
        answers.append(answer_of(desk))
        return answers[-1][1] == code

    wait_until(told, SECONDS, f"an answer of {code}")
    return answers


def test_database_that_was_killed_is_told_and_nothing_is_lost_when_it_is_back(desk: Desk, fault_line: Any):
    line = fault_line("database: killed, gone and back")
    task_ids = submit(desk, 5, 220)
    desk.platform.kill("postgres")
    desk.platform.stop("postgres")  # supervisor would have it back within a second
    line.injected()
    try:
        said = desk.wait_for_symptom("database", "database-connection-lost", SECONDS)
        line.seen(said["symptom"])
        assert answer_of(desk) == (503, "service_unavailable")
        line.cured()
    finally:
        desk.platform.start("postgres")
    wait_until(lambda: answer_of(desk) == (200, ""), SECONDS, "the portfolios to be read again")
    desk.wait_until_healthy("database", SECONDS)
    line.mended(lost=lost_of(desk, task_ids + submit(desk, 3, 240)))


def test_database_that_is_restarted_by_the_operators_command_loses_nothing(desk: Desk, fault_line: Any):
    line = fault_line("database: hangs, and is restarted")
    task_ids = submit(desk, 3, 260)
    with paused_server(desk):
        line.injected()
        said = desk.wait_for_symptom("database", "database-connection-lost", SECONDS)
        line.seen(said["symptom"])
        line.cured()
        run_remedy(desk.platform, said["remedy"])
    desk.wait_until_healthy("database", SECONDS)
    line.mended(lost=lost_of(desk, task_ids))


@contextmanager
def paused_server(desk: Desk) -> Iterator[None]:
    """Takes connections and does not answer; whoever has killed it meanwhile has ended that as well."""
    server = psutil.Process(desk.platform.pid("postgres"))
    server.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            server.resume()
