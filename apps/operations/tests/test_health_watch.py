"""The topic `system:health`: one looks, and tells what changed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.operations import watching
from apps.operations.tests.alive import all_processes_alive, forget_all
from apps.operations.watching import LEASE_KEY, TELL_SECONDS, TOPIC, HealthWatch
from apps.realtime.steps import stream_key
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet_topic(settings) -> Iterator[None]:
    settings.FEED_EXPECTED = False
    redis_client().delete(LEASE_KEY, stream_key(TOPIC))
    with all_processes_alive():
        yield
    redis_client().delete(LEASE_KEY, stream_key(TOPIC))


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Seconds that go on only where a test says so, for the watch alone."""
    now = [1_000.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(watching, "time", Clock)
    return now


def published() -> list[dict[str, Any]]:
    entries: Any = redis_client().xrange(stream_key(TOPIC))
    return [json.loads(next(iter(fields.values()))) for _, fields in entries]


def test_first_look_is_told_whole(clock):
    assert HealthWatch().look()
    (message,) = published()
    assert message["topic"] == "system:health"
    assert message["data"]["components"]["workers"]["status"] == "healthy"


def test_look_that_finds_the_same_is_told_after_a_while(clock):
    watch = HealthWatch()
    watch.look()
    clock[0] += TELL_SECONDS - 0.1
    watch.look()
    assert len(published()) == 1
    clock[0] += 0.2
    watch.look()
    assert len(published()) == 2


def test_change_is_told_at_once(clock):
    watch = HealthWatch()
    watch.look()
    forget_all()
    watch.look()
    assert [message["data"]["components"]["workers"]["status"] for message in published()] == ["healthy", "unhealthy"]


def test_one_process_looks_at_a_time_and_the_next_takes_over(clock):
    first, second = HealthWatch(), HealthWatch()
    assert first.look()
    assert not second.look()
    assert first.look()
    first.release()
    assert second.look()
    assert not first.look()
    assert len(published()) == 2


def test_lease_runs_out_where_its_holder_is_gone(clock):
    first, second = HealthWatch(), HealthWatch()
    first.look()
    assert 0 < redis_client().pttl(LEASE_KEY) <= watching.LEASE_MS
    redis_client().delete(LEASE_KEY)  # as its time does
    assert second.look()
    first.release()
    assert redis_client().exists(LEASE_KEY)  # it is another's by now
