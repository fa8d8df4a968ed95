"""`streaming/status` and `streaming/restart`: what an operator sees, and what mends it."""

import json

import numpy as np
import pytest

from apps.analytics.streaming.leases import RESTARTS_KEY
from apps.analytics.streaming.statistics import STATISTICS_KEY, Statistics, percentile_ms, read_statistics
from apps.analytics.tests.streamed import forget_streams, quote, running_engine
from apps.portfolios.tests.factories import client_of
from apps.realtime import listeners
from apps.risk.tests.desks import DESK_SETTINGS, make_desk
from apps.risk.tests.monitored import redis_away
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

STATUS = "/api/v1/sprint3/analytics/streaming/status"
RESTART = "/api/v1/sprint3/analytics/streaming/restart"


@pytest.fixture(autouse=True)
def fresh(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    forget_streams()
    yield
    forget_streams()


def status() -> dict:
    answer = client_of("viewer").get(STATUS)
    assert answer.status_code == 200, answer.content
    return answer.json()


def say_again(engine) -> None:
    """Its statistics, as a second later."""
    engine._counted = 0.0
    engine.step()


def test_without_an_engine_it_is_stopped_and_says_how_to_start_one():
    told = status()
    assert (told["status"], told["portfolios"], told["engines"]) == ("stopped", 0, [])
    assert "run_analytics_engine" in told["reason"]
    assert told["lag_ms"] == {"p50": None, "p99": None}


def test_engine_without_a_feed_is_stalled():
    make_desk()
    running_engine()
    told = status()
    assert (told["status"], told["reason"], told["portfolios"]) == ("stalled", "No quote has come yet.", 1)


def test_engine_with_a_live_feed_is_streaming():
    make_desk()
    engine = running_engine()
    for price in (10.5, 10.6):
        quote(AAA=price)
        engine.step()
    say_again(engine)
    told = status()
    assert (told["status"], told["reason"], told["portfolios"]) == ("streaming", None, 1)
    assert told["lag_ms"]["p50"] > 0
    assert told["last_update_at"].endswith("Z")
    assert [one["engine"] for one in told["engines"]] == [engine.engine_id]
    assert told["engines"][0]["shards"] == 64


def test_stale_feed_is_a_stall(settings):
    make_desk()
    engine = running_engine()
    quote(AAA=10.5)
    engine.step()
    settings.FEED_STALE_SECONDS = 0.0
    assert status()["status"] == "stalled"
    assert "No quote has come for" in status()["reason"]


def test_engine_that_does_not_come_round_is_a_stall():
    make_desk()
    engine = running_engine()
    quote(AAA=10.5)
    written = read_statistics(redis_client())[1][engine.engine_id]
    set_written(engine.engine_id, {**written, "at_us": written["at_us"] - 5_000_000})
    told = status()
    assert told["status"] == "stalled"
    assert told["reason"].startswith(f"{engine.engine_id} has not come round for 5.")


def test_engine_that_is_silent_for_long_is_gone():
    make_desk()
    engine = running_engine()
    written = read_statistics(redis_client())[1][engine.engine_id]
    set_written(engine.engine_id, {**written, "at_us": written["at_us"] - 60_000_000})
    assert status()["status"] == "stopped"


def set_written(engine_id: str, statistics: dict) -> None:
    redis_client().hset(STATISTICS_KEY, engine_id, json.dumps(statistics))


def test_engine_that_left_is_gone_at_once():
    make_desk()
    engine = running_engine()
    engine.leave()
    assert status()["status"] == "stopped"


def test_subscribers_are_those_of_all_processes():
    for hub, count in (("one", 3), ("two", 4)):
        redis_client().hset(f"{listeners.LISTENERS_PREFIX}{hub}", mapping={"analytics:updates:": count, "tasks:": 9})
        redis_client().zadd(listeners.HUBS_KEY, {hub: 1})
    assert status()["subscribers"] == 7


def test_restart_is_the_operators_and_answers_with_the_status():
    make_desk()
    running_engine()
    answer = client_of("operator").post(RESTART, {})
    assert (answer.status_code, answer.json()["status"]) == (200, "stalled")
    assert redis_client().get(RESTARTS_KEY) == "1"
    assert client_of("trader").post(RESTART, {}).status_code == 403


def test_restart_without_an_engine_says_what_to_do():
    client = client_of("operator")
    client.raise_request_exception = False
    answer = client.post(RESTART, {})
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["code"] == "no_streaming_engine"
    assert "run_analytics_engine" in answer.json()["errors"][0]["detail"]
    assert redis_client().get(RESTARTS_KEY) is None


def test_unknown_fields_and_parameters_are_refused():
    assert client_of("operator").post(RESTART, {"force": True}).status_code == 400
    assert client_of("viewer").get(f"{STATUS}?verbose=1").status_code == 400


def test_redis_that_is_away_is_said():
    client = client_of("viewer")
    client.raise_request_exception = False
    with redis_away():
        assert client.get(STATUS).status_code == 503


def test_percentiles_of_several_engines_are_those_of_all_their_lags():
    both = []
    for lags_ms in (np.full(990, 100.0), np.full(10, 900.0)):
        statistics = Statistics()
        statistics.count_lags(lags_ms * 1e3)
        both.append({str(one): number for one, number in statistics.summary()["lags"].items()})
    assert percentile_ms(both, 50) == pytest.approx(100, rel=0.05)
    assert percentile_ms(both, 99.5) == pytest.approx(900, rel=0.05)
