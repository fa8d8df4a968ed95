"""The table websocket_metrics: a row a process and minute, written by the scheduler's task, forgotten after 30 days."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from apps.realtime.latency import Latencies
from apps.realtime.metrics import last_day, record_metrics
from apps.realtime.models import WebsocketMetric
from apps.realtime.tests.said_processes import Say, report, said_processes
from workers.maintenance import record_websocket_metrics

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 28, 12, 0, 41, tzinfo=UTC)


@pytest.fixture
def say() -> Iterator[Say]:
    with said_processes() as start:
        yield start


def record(now: datetime = NOON, *reports: dict[str, Any]) -> int:
    return record_metrics(reports or [report()], now)


def test_task_stores_a_row_of_each_process_that_answers(say: Say) -> None:
    say(report("a:1", active=4, accepted=9, topics={"news": 2, "x*": 1}, messages_per_second=2.5))
    say(report("b:2", bytes_sent=5_000_000_000))
    assert record_websocket_metrics() == 2
    first, second = WebsocketMetric.objects.order_by("process")
    assert (first.active, first.accepted, first.topics, first.messages_per_second) == (4, 9, 2, 2.5)
    assert second.bytes_sent == 5_000_000_000


def test_row_stands_at_the_beginning_of_its_minute() -> None:
    record()
    assert WebsocketMetric.objects.get().timestamp == datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def test_task_delivered_twice_in_a_minute_stores_once() -> None:
    assert (record(NOON), record(NOON + timedelta(seconds=10))) == (1, 0)
    assert WebsocketMetric.objects.count() == 1


def test_next_minute_has_a_row_of_its_own() -> None:
    assert (record(NOON), record(NOON + timedelta(minutes=1))) == (1, 1)


def test_process_that_started_anew_under_the_same_name_is_not_left_out() -> None:
    record(NOON, report("a:1", hub="first"))
    assert record(NOON, report("a:1", hub="second")) == 1


def test_percentiles_are_stored_and_null_where_nothing_was_sent() -> None:
    latencies = Latencies()
    latencies.add(4.0)
    record(NOON, report("a:1", latency_counts=latencies.counts()), report("b:2"))
    busy, quiet = WebsocketMetric.objects.order_by("process")
    assert busy.latency_p99_ms == pytest.approx(4.0, rel=0.05)
    assert quiet.latency_p99_ms is None


def test_no_process_stores_nothing() -> None:
    assert record_websocket_metrics() == 0
    assert not WebsocketMetric.objects.exists()


def test_table_has_the_index_of_the_contract() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_websocket_metrics_timestamp'")
        assert cursor.fetchone()[0].endswith('ON public.websocket_metrics USING btree ("timestamp" DESC)')


# --- The last day -------------------------------------------------------------------------------------
def test_last_day_has_the_most_sockets_of_all_processes_in_each_quarter() -> None:
    record(NOON, report("a:1", active=3), report("b:2", active=4, messages_per_second=5.0))
    record(NOON + timedelta(minutes=3), report("a:1", active=2))
    day = last_day(NOON + timedelta(minutes=5))
    assert len(day) == 96
    assert day[-1] == (datetime(2026, 11, 28, 12, 0, tzinfo=UTC), 7, 5.0)


def test_quarter_without_a_row_is_unknown_and_not_zero() -> None:
    record(NOON)
    assert last_day(NOON)[-2:] == [
        (datetime(2026, 11, 28, 11, 45, tzinfo=UTC), None, None),
        (datetime(2026, 11, 28, 12, 0, tzinfo=UTC), 0, 0.0),
    ]
