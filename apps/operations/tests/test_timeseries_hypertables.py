"""On a PostgreSQL that has TimescaleDB loaded: DATABASE_URL=… REDIS_URL=… make test ARGS='-m timescaledb'."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.operations.tests import growing
from apps.operations.timeseries.extension import create_extension
from apps.operations.timeseries.hypertables import apply_all, is_hypertable
from apps.operations.timeseries.retention import enforce_retention
from apps.operations.timeseries.tables import SERIES
from apps.realtime.models import WebsocketMetric
from apps.risk.models import RiskEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timescaledb]


@pytest.fixture(autouse=True)
def converted() -> list[str]:
    """With rows of two months in them first."""
    extension = create_extension()
    if not extension.version:
        pytest.skip("timescaledb: this PostgreSQL does not have it loaded")
    for day in range(0, 60, 3):
        growing.event(day)
        growing.performance(day)
        growing.minute(day)
    return apply_all(extension)


def rows(query: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def compressed(table: str) -> int:
    query = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = %s AND is_compressed"
    return rows(query, table)[0][0]


def test_tables_are_hypertables_with_all_their_rows() -> None:
    assert all(is_hypertable(series.table) for series in SERIES)
    assert RiskEvent.objects.count() == 20
    assert apply_all(create_extension()) == apply_all(create_extension())


def test_policies_are_those_that_are_asked_for() -> None:
    found = rows(
        "SELECT hypertable_name, proc_name, coalesce(config ->> 'compress_after', config ->> 'drop_after')"
        " FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL ORDER BY 1, 2"
    )
    assert [(table, "retention" in policy, after) for table, policy, after in found] == [
        ("analytics_metrics", False, "7 days"),
        ("websocket_metrics", False, "7 days"),
        ("websocket_metrics", True, "30 days"),
    ]


def test_old_chunks_of_minutes_are_dropped() -> None:
    enforce_retention()
    assert WebsocketMetric.objects.filter(timestamp__lt=growing.days_ago(31)).count() == 0
    assert WebsocketMetric.objects.filter(timestamp__gte=growing.days_ago(30)).count() == 10


def test_chunk_with_an_open_or_unpublished_event_is_not_compressed() -> None:
    growing.event(50, closed_at=None)
    growing.event(25, published_at=None)
    before = rows("SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'risk_events'")[0][0]
    enforce_retention()
    assert 0 < compressed("risk_events") <= before - 2
    with transaction.atomic():  # as events are published: of a compressed chunk this would fail
        assert RiskEvent.objects.filter(published_at=None).select_for_update(no_key=True).count() == 1
        assert len(RiskEvent.objects.filter(published_at=None).select_for_update(no_key=True)) == 1


def test_event_of_a_compressed_chunk_can_be_acknowledged_and_told_of() -> None:
    enforce_retention()
    assert compressed("risk_events") > 0
    oldest = RiskEvent.objects.order_by("timestamp").first()
    assert oldest is not None
    assert RiskEvent.objects.filter(pk=oldest.pk, acknowledged_at=None).update(acknowledged_at=timezone.now()) == 1
    assert RiskEvent.objects.filter(pk=oldest.pk, acknowledged_at=None).update(acknowledged_at=timezone.now()) == 0
    growing.delivery(0, oldest)
    with pytest.raises(IntegrityError, match="still refers to this row"), transaction.atomic():
        rows("DELETE FROM risk_events WHERE id = %s RETURNING id", oldest.pk)


def test_status_says_chunks_and_compression() -> None:
    enforce_retention()
    out = StringIO()
    call_command("timeseries", "--json", stdout=out)
    tables = {table["table"]: table for table in json.loads(out.getvalue())["tables"]}
    events = tables["risk_events"]
    assert (events["kind"], events["chunk_interval"], events["compress_after_days"]) == ("hypertable", "7 days", 3)
    assert events["compressed_chunks"] == compressed("risk_events")
    assert (tables["portfolio_data"]["kind"], tables["risk_metrics"]["kind"]) == ("plain", "plain")
