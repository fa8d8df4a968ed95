"""`manage.py timeseries`, and what makes hypertables of tables, as far as a plain PostgreSQL can show it."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from apps.analytics.models import Report
from apps.operations.tests import growing
from apps.operations.timeseries.extension import Extension, look
from apps.operations.timeseries.hypertables import _keys, _referrers, _run, conversion, policies
from apps.operations.timeseries.retention import enforce_retention
from apps.operations.timeseries.tables import BY_TABLE, SERIES, TimeSeries

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("timeseries", *arguments, stdout=out)
    return out.getvalue()


def texts(statements: Any) -> list[str]:
    connection.ensure_connection()
    return [statement.as_string(connection.connection) for statement in statements]


def without_timescaledb() -> None:
    if look().version or look().can_be_created:
        pytest.skip("this server has TimescaleDB: see test_timeseries_hypertables.py")


def test_status_says_of_each_table_what_it_holds_and_how_long_that_is_kept() -> None:
    growing.minute(31)
    newest = growing.minute(1)
    enforce_retention()
    tables = {table["table"]: table for table in json.loads(said("--status", "--json"))["tables"]}
    assert {series.table for series in SERIES} <= tables.keys()
    sockets = tables["websocket_metrics"]
    assert (sockets["rows"], sockets["rows_are_estimated"], sockets["keep_days"]) == (1, False, 30)
    assert sockets["oldest"] == sockets["newest"]
    assert sockets["newest"].startswith(f"{newest.timestamp:%Y-%m-%dT%H:%M}")
    assert (sockets["last_run_deleted"], sockets["last_run_error"]) == (1, None)
    assert sockets["size_bytes"] > 0
    assert tables["risk_decisions"]["keep_days"] == 0


def test_table_for_a_person_names_every_table() -> None:
    growing.event(2)
    table = said()
    assert all(series.table in table for series in SERIES)
    assert "for ever" in table


def test_plain_tables_are_said_to_be_plain_and_apply_says_what_is_missing() -> None:
    without_timescaledb()
    status = json.loads(said("--json"))
    assert status["timescaledb"] is None
    assert {table["kind"] for table in status["tables"]} == {"plain"}
    with pytest.raises(CommandError, match=r"does not have TimescaleDB loaded.*shared_preload_libraries"):
        said("--apply")


def test_retention_by_hand_says_what_it_deleted() -> None:
    growing.minute(31)
    assert "websocket_metrics: 1 deleted\n" in said("--enforce-retention")
    growing.minute(31)
    assert {"table": "websocket_metrics", "deleted": 1, "compressed": 0, "is_done": True, "error": ""} in json.loads(
        said("--enforce-retention", "--json")
    )


def test_unique_keys_that_lack_the_time_get_it() -> None:
    without_timescaledb()
    found = {series.table: {(kind, *columns) for _, kind, columns in _keys(series)} for series in SERIES}
    assert found == {
        "websocket_metrics": {("p", "id")},  # (hub, timestamp) has it
        "analytics_metrics": {("p", "id"), ("u", "task_id")},
        "risk_events": {("p", "id")},
    }


def test_statements_are_those_that_every_version_takes() -> None:
    events = BY_TABLE["risk_events"]
    *_, create = texts(conversion(events, [], []))
    assert create == (
        "SELECT create_hypertable('risk_events', by_range('timestamp', INTERVAL '7 days'),"
        " create_default_indexes => false, if_not_exists => true, migrate_data => true)"
    )
    assert texts(policies(BY_TABLE["websocket_metrics"], compress=True)) == [
        "ALTER TABLE \"websocket_metrics\" SET (timescaledb.compress, timescaledb.compress_segmentby = 'process',"
        " timescaledb.compress_orderby = 'timestamp DESC')",
        "SELECT remove_compression_policy('websocket_metrics', if_exists => true)",
        "SELECT add_compression_policy('websocket_metrics', INTERVAL '7 days')",
        "SELECT remove_retention_policy('websocket_metrics', if_exists => true)",
        "SELECT add_retention_policy('websocket_metrics', INTERVAL '30 days')",
    ]


def test_tables_with_rows_that_are_locked_are_not_compressed_by_a_policy() -> None:
    assert not [text for text in texts(policies(BY_TABLE["risk_events"], compress=True)) if "add_compression" in text]


@pytest.mark.parametrize(
    ("version", "license_name", "compresses"),
    [
        ("2.14.2", "timescale", False),
        ("2.15.3", "timescale", False),
        ("2.16.0", "timescale", True),
        ("2.23.0-dev", "timescale", True),
        ("2.29.1", "apache", False),
        ("", "", False),
    ],
)
def test_events_are_compressed_where_an_update_does_not_write_every_row_back(
    version: str, license_name: str, compresses: bool
) -> None:
    assert Extension(version, license=license_name).compresses(BY_TABLE["risk_events"]) is compresses


# --- All of the conversion but its last statement runs on any PostgreSQL ------------------------------
def prepared(table: str) -> TimeSeries:
    series = BY_TABLE[table]
    *plain, _create_hypertable = conversion(series, _keys(series), _referrers(series))
    _run(iter(plain))
    return series


@pytest.mark.parametrize("series", SERIES, ids=lambda series: series.table)
def test_every_key_has_the_time_then_and_nothing_refers_to_the_table(series: TimeSeries) -> None:
    without_timescaledb()
    prepared(series.table)
    assert _keys(series) == []
    assert _referrers(series) == []


def test_row_that_is_referred_to_stays_and_nobody_refers_to_one_that_is_not_there() -> None:
    without_timescaledb()
    prepared("risk_events")
    told = growing.delivery(1, growing.event(1))
    with connection.cursor() as cursor:
        with (
            pytest.raises(IntegrityError, match="risk_alert_deliveries still refers to this row"),
            transaction.atomic(),
        ):
            cursor.execute("DELETE FROM risk_events")
        with (
            pytest.raises(IntegrityError, match="refers to risk_events -1, which does not exist"),
            transaction.atomic(),
        ):
            cursor.execute("UPDATE risk_alert_deliveries SET event_id = -1")
    event = told.event
    told.delete()
    assert event.delete()[0] == 1


def test_report_goes_with_its_performance_as_before() -> None:
    without_timescaledb()
    prepared("analytics_metrics")
    metric = growing.performance(1)
    Report.objects.create(
        portfolio=metric.portfolio, metric=metric, format="html", content=b"x", sha256="0" * 64, size_bytes=1
    )
    metric.delete()
    assert not Report.objects.exists()
