"""The probes of PostgreSQL, each with the fault that it is there to find."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings as configured
from django.db import connection

from apps.operations.diagnosis import expected_indexes
from apps.operations.diagnosis.probes import (
    bloat,
    connections,
    long_transactions,
    missing_indexes,
    slow_queries,
    unused_indexes,
)
from apps.operations.findings import Status
from apps.operations.tests.probing import (
    cancelled,
    definition_of,
    only,
    run,
    session,
    value_of,
    wait_for,
    wait_for_finding,
)
from apps.operations.timeseries.extension import create_extension
from apps.operations.timeseries.hypertables import apply_all

INDEX = "idx_portfolio_risk_timestamp"


@pytest.mark.django_db(transaction=True)
def test_statement_that_runs_for_long_is_named(monkeypatch: Any):
    monkeypatch.setattr(slow_queries, "RUNS_SLOWLY_SECONDS", 0.1)
    with session("a person") as other, session() as watcher:
        thread = threading.Thread(target=lambda: cancelled(other, "SELECT pg_sleep(60)"))
        thread.start()
        pid = other.info.backend_pid
        wait_for(watcher, "SELECT now() - query_start > interval '0.2 s' FROM pg_stat_activity WHERE pid = %s", pid)
        finding = only(slow_queries.look())
        watcher.execute("SELECT pg_cancel_backend(%s)", [pid])
        thread.join()
    assert "a person" in finding.symptom
    assert f"pid {pid}" in finding.cause
    assert "pg_sleep(60)" in finding.cause
    assert finding.section == "database-slow-query"


@pytest.mark.django_db(transaction=True)
def test_statement_that_is_slow_each_time_is_named_with_its_average(monkeypatch: Any):
    monkeypatch.setattr(slow_queries, "SLOW_MEAN_MS", 40.0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_statements_reset()")
        for _ in range(slow_queries.LEAST_CALLS):
            cursor.execute("SELECT pg_sleep(0.05), 'slow each time'")
    finding = only(slow_queries.look())
    assert f"({slow_queries.LEAST_CALLS} calls" in finding.symptom
    assert "pg_sleep" in finding.cause
    assert finding.fix is not None
    assert "are counted anew" in finding.fix()
    assert slow_queries.look().findings == ()


@pytest.mark.django_db(transaction=True)
def test_transaction_of_ours_that_is_idle_for_long_is_found_and_ended(settings: Any):
    settings.IDLE_IN_TRANSACTION_SECONDS = 0.1
    with session("nautilus test", autocommit=False) as idle:
        idle.execute("SELECT 'left open'")
        time.sleep(0.3)
        finding = only(long_transactions.look())
        assert "nautilus test" in finding.symptom
        assert "left open" in finding.cause
        assert finding.fix is not None
        assert finding.fix() == f"ended session {idle.info.backend_pid}"
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
        idle.close()
    assert long_transactions.look().findings == ()


@pytest.mark.django_db(transaction=True)
def test_session_that_went_on_meanwhile_is_left_alone():
    with session("nautilus test") as busy:
        busy.execute("SELECT 1")
        busy.commit()
        said = long_transactions.end_idle(busy.info.backend_pid, 0.0)
        assert "left alone" in said
        assert busy.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.django_db(transaction=True)
def test_who_holds_what_another_waits_for_is_named(monkeypatch: Any):
    monkeypatch.setattr(long_transactions, "LONG_WAIT_SECONDS", 0.1)
    with session("the holder") as holder, session("the waiter") as waiter, session() as watcher:
        holder_pid = holder.info.backend_pid
        holder.execute("LOCK TABLE risk_limits IN ACCESS EXCLUSIVE MODE")
        thread = threading.Thread(target=lambda: cancelled(waiter, "SELECT count(*) FROM risk_limits"))
        thread.start()
        waits = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        wait_for(watcher, waits, waiter.info.backend_pid)
        time.sleep(0.2)
        finding = only(long_transactions.look())
        watcher.execute("SELECT pg_cancel_backend(%s)", [waiter.info.backend_pid])
        thread.join()
        waiter.rollback()
    assert "the waiter" in finding.symptom
    assert "the holder" in finding.cause
    assert "ACCESS EXCLUSIVE" in finding.cause
    assert finding.remedy == f"scripts/manage.sh end_session {holder_pid}"


@pytest.mark.django_db(transaction=True)
def test_foreign_idle_sessions_are_ended_and_ours_stay(monkeypatch: Any):
    monkeypatch.setattr(connections, "FOREIGN_IDLE_SECONDS", 0.1)
    with session("somebody's script", autocommit=True) as foreign, session("nautilus web", autocommit=True) as ours:
        for each in (foreign, ours):
            each.execute("SELECT 1")
        time.sleep(0.3)
        assert "somebody's script 1" in connections.look().detail
        said = connections.end_foreign_idle()
        assert said.startswith("ended 1 idle")
        with pytest.raises(psycopg.OperationalError):
            foreign.execute("SELECT 1")
        assert ours.execute("SELECT 1").fetchone() == (1,)
        foreign.close()


@pytest.mark.django_db(transaction=True)
def test_session_of_another_database_is_left_alone(monkeypatch: Any):
    monkeypatch.setattr(connections, "FOREIGN_IDLE_SECONDS", 0.1)
    with session("somebody's script", autocommit=True, dbname="postgres") as foreign:
        foreign.execute("SELECT 1")
        time.sleep(0.3)
        assert connections.end_foreign_idle().startswith("ended 0 idle")
        assert foreign.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.django_db(transaction=True)
def test_session_that_we_may_not_end_does_not_keep_the_others(monkeypatch: Any):
    monkeypatch.setattr(connections, "FOREIGN_IDLE_SECONDS", 0.1)
    run("CREATE ROLE limited LOGIN PASSWORD 'limited' IN ROLE pg_read_all_stats")
    try:
        limited = {"user": "limited", "password": "limited"}
        with session("a superuser", autocommit=True) as theirs, session("a script", **limited) as foreign:
            for each in (theirs, foreign):
                each.execute("SELECT 1")
                each.commit()
            time.sleep(0.3)
            run("SET ROLE limited")
            assert connections.end_foreign_idle().startswith("ended 1 idle")
            assert theirs.execute("SELECT 1").fetchone() == (1,)
            foreign.close()
    finally:
        run("RESET ROLE")
        run("DROP ROLE limited")


@pytest.mark.django_db(transaction=True)
def test_idle_processes_of_our_own_server_are_known_by_their_titles():
    with session("idle", autocommit=True) as idle, session("busy", autocommit=False) as busy:
        for each in (idle, busy):
            each.execute("SELECT 1")
        deadline = time.monotonic() + 10
        while idle.info.backend_pid not in (found := connections._idle_server_processes()):
            assert time.monotonic() < deadline, found
        assert busy.info.backend_pid not in found


@pytest.mark.django_db
@pytest.mark.parametrize(("count", "status"), [(79, None), (80, Status.DEGRADED), (95, Status.UNHEALTHY)])
def test_sessions_are_judged_by_their_share(count: int, status: Status | None):
    diagnosis = connections._counted([{"application": "a script", "state": "idle", "count": count}], 100)
    assert [finding.status for finding in diagnosis.findings] == ([status] if status else [])
    assert f"{count} of 100 sessions" in diagnosis.detail


@pytest.mark.django_db(transaction=True)
def test_dropped_index_is_named_and_created_again_as_it_was():
    before = definition_of(INDEX)
    run(f"DROP INDEX {INDEX}")
    finding = only(missing_indexes.look())
    assert (finding.section, finding.remedy) == ("risk-missing-index", missing_indexes.REMEDY)
    assert f"{INDEX} of risk_metrics is missing" in finding.symptom
    assert "The contract names it" in finding.cause
    assert finding.fix is not None
    assert finding.fix() == f"created index {INDEX} on risk_metrics"
    assert definition_of(INDEX) == before
    assert missing_indexes.look().findings == ()


@pytest.mark.django_db(transaction=True)
def test_index_that_was_not_built_to_its_end_is_built_anew():
    before = definition_of(INDEX)
    run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", INDEX)
    finding = only(missing_indexes.look())
    assert "INVALID" in finding.symptom
    assert finding.fix is not None
    finding.fix()
    assert missing_indexes.look().findings == ()
    assert definition_of(INDEX) == before


@pytest.mark.django_db(transaction=True)
def test_index_of_a_field_may_be_replaced_by_one_that_begins_with_its_column():
    expected = {(one.table, one.column): one.name for one in expected_indexes.expected_indexes()}
    name = expected["tasks_task", "retry_of_id"]
    before = definition_of(name)
    run(f"DROP INDEX {name}")
    assert name in only(missing_indexes.look()).symptom
    run("CREATE INDEX other ON tasks_task (retry_of_id, created_at)")
    assert missing_indexes.look().findings == ()
    run("DROP INDEX other")
    finding = only(missing_indexes.look())
    assert finding.fix is not None
    finding.fix()
    assert definition_of(name) == before


@pytest.mark.django_db
def test_index_of_a_hypertable_is_made_chunk_by_chunk_and_dropped_plainly():
    expected = {one.name: one for one in expected_indexes.expected_indexes()}["idx_risk_events_unpublished"]
    assert expected_indexes.create_statement(expected, chunked=True) == (
        'CREATE INDEX "idx_risk_events_unpublished" ON "risk_events" ("id") WITH (timescaledb.transaction_per_chunk) '
        'WHERE "published_at" IS NULL'
    )
    assert expected_indexes.drop_statement(expected, chunked=True) == f'DROP INDEX IF EXISTS "{expected.name}"'
    assert "CONCURRENTLY" in expected_indexes.create_statement(expected, chunked=False)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timescaledb
def test_index_of_a_hypertable_is_created_again():
    extension = create_extension()
    if not extension.version:
        pytest.skip("timescaledb: this PostgreSQL does not have it loaded")
    apply_all(extension)
    run("DROP INDEX idx_risk_events_portfolio_type")
    finding = only(missing_indexes.look())
    assert finding.fix is not None
    assert finding.fix() == "created index idx_risk_events_portfolio_type on risk_events"
    assert missing_indexes.look().findings == ()


def test_every_index_that_the_contract_names_is_one_of_the_models():
    named = {index.name for model in apps.get_models() for index in model._meta.indexes}
    assert named >= expected_indexes.CONTRACT
    contract = (configured.ROOT / "docs" / "contract.md").read_text()
    row = next(line for line in contract.splitlines() if line.startswith("| Indexes |"))
    assert set(_backticked(row)) == expected_indexes.CONTRACT


def _backticked(text: str) -> list[str]:
    return [part for part in text.split("`")[1::2] if part.startswith("idx_")]


@pytest.mark.django_db(transaction=True)
def test_table_that_is_read_whole_again_and_again_is_named(monkeypatch: Any):
    monkeypatch.setattr(missing_indexes, "LEAST_ROWS", 1_000)
    monkeypatch.setattr(missing_indexes, "LEAST_SCANS", 5)
    run("CREATE TABLE read_whole AS SELECT generate_series(1, 2000) AS number")
    try:
        for _ in range(6):
            value_of("SELECT count(*) FROM read_whole WHERE number = 7")
        run("ANALYZE read_whole")
        run("SELECT pg_stat_force_next_flush()")
        wait_for_finding(missing_indexes.look, "read_whole is read from end to end")
    finally:
        run("DROP TABLE read_whole")


@pytest.mark.django_db(transaction=True)
def test_index_that_nothing_uses_is_named_once_statistics_are_old_enough(monkeypatch: Any):
    monkeypatch.setattr(unused_indexes, "LEAST_BYTES", 0)
    assert "too young to judge by" in unused_indexes.look().detail
    monkeypatch.setattr(unused_indexes, "LEAST_AGE", timedelta(0))
    run("CREATE TABLE nobody_asks AS SELECT generate_series(1, 20000) AS number")
    run("CREATE INDEX nobody_asked ON nobody_asks (number)")
    try:
        with chunk("CREATE TABLE {} AS SELECT generate_series(1, 20000) AS number") as name:
            run(f"CREATE INDEX ON {name} (number)")
            findings = unused_indexes.look().findings
    finally:
        run("DROP TABLE nobody_asks")
    names = " ".join(finding.symptom for finding in findings)
    assert "The index nobody_asked of nobody_asks takes 0.4 MB" in names
    assert INDEX not in names
    assert "tasks_task_pkey" not in names
    assert "a_chunk" not in names


@contextmanager
def chunk(statement: str) -> Iterator[str]:
    """A table where TimescaleDB has its chunks."""
    run("CREATE SCHEMA _timescaledb_made_up")
    try:
        run(statement.format("_timescaledb_made_up.a_chunk"))
        yield "_timescaledb_made_up.a_chunk"
    finally:
        run("DROP SCHEMA _timescaledb_made_up CASCADE")


def change_all_rows(table: str) -> None:
    run(f"INSERT INTO {table} SELECT generate_series(1, 1000)")
    run(f"UPDATE {table} SET number = number + 1")
    run("SELECT pg_stat_force_next_flush()")


@pytest.mark.django_db(transaction=True)
def test_bloated_table_is_named_and_vacuumed_in_whatever_schema_it_is(monkeypatch: Any):
    monkeypatch.setattr(bloat, "LEAST_DEAD_ROWS", 500)
    run("CREATE SCHEMA elsewhere")
    run("CREATE TABLE elsewhere.much_changed (number int) WITH (autovacuum_enabled = off)")
    try:
        change_all_rows("elsewhere.much_changed")
        finding = wait_for_finding(bloat.look, "elsewhere.much_changed's rows are dead")
        assert "never vacuumed" in finding.cause
        assert finding.fix is not None
        assert finding.fix() == "vacuumed and analyzed elsewhere.much_changed"
        assert bloat.look().findings == ()
        assert value_of("SELECT reltuples FROM pg_class WHERE relname = 'much_changed'") == 1000
    finally:
        run("DROP SCHEMA elsewhere CASCADE")


@pytest.mark.django_db(transaction=True)
def test_chunk_of_a_hypertable_is_left_to_timescaledb(monkeypatch: Any):
    monkeypatch.setattr(bloat, "LEAST_DEAD_ROWS", 500)
    run("CREATE TABLE much_changed (number int) WITH (autovacuum_enabled = off)")
    try:
        with chunk("CREATE TABLE {} (number int) WITH (autovacuum_enabled = off)") as name:
            change_all_rows(name)
            change_all_rows("much_changed")
            wait_for_finding(bloat.look, "public.much_changed's rows are dead")
            assert len(bloat.look().findings) == 1
    finally:
        run("DROP TABLE much_changed")
