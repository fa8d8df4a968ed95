from datetime import UTC, datetime, timedelta

import pytest
from django.utils.dateparse import parse_datetime

from apps.analytics.cache import cache_analytics_result
from apps.portfolios.tests.factories import client_of
from nautilus.cache import store

pytestmark = pytest.mark.django_db

CACHE = "/api/v1/cache"


@cache_analytics_result(prefix="risk", version=lambda n: "1")
def doubled(n: int) -> int:
    return 2 * n


@pytest.fixture(autouse=True)
def redis():
    client = store.redis_of_answers()
    client.flushdb()
    yield client
    client.flushdb()


@pytest.fixture
def operator():
    return client_of("operator", groups=[])


def test_status_tells_what_was_asked_and_what_is_kept(operator):
    for n in (1, 1, 1, 2):
        doubled(n)
    told = operator.get(f"{CACHE}/status").json()
    assert (told["mode"], told["ttl_seconds"], told["expires_at"]) == ("normal", 300, None)
    assert (told["hits"], told["misses"], told["hit_ratio"]) == (2, 2, 0.5)
    assert (told["entries"], told["entries_by_prefix"]) == (2, {"analytics": 0, "risk": 2})


def test_ratio_of_nothing_is_null(operator):
    assert operator.get(f"{CACHE}/status").json()["hit_ratio"] is None


def test_aggressive_mode_is_enabled_for_an_hour_and_ended(operator):
    told = operator.post(f"{CACHE}/enable-aggressive-mode").json()
    assert (told["mode"], told["ttl_seconds"]) == ("aggressive", 3600)
    ends = parse_datetime(told["expires_at"])
    assert ends is not None
    assert abs(ends - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=30)
    told = operator.post(f"{CACHE}/disable-aggressive-mode").json()
    assert (told["mode"], told["expires_at"]) == ("normal", None)


def test_answer_with_a_time_in_it_is_given_again_to_the_same_key(operator):
    key = {"Idempotency-Key": "enable-once"}
    answers = [operator.post(f"{CACHE}/enable-aggressive-mode", {"seconds": 60}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"


def test_aggressive_mode_takes_a_time(operator, redis):
    operator.post(f"{CACHE}/enable-aggressive-mode", {"seconds": 60})
    assert 50 < redis.ttl("cache:mode") <= 60


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 1.5, "60", None, True])
def test_impossible_time_is_refused(operator, seconds, redis):
    answer = operator.post(f"{CACHE}/enable-aggressive-mode", {"seconds": seconds})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "seconds"
    assert not redis.exists("cache:mode")


def test_clearing_says_how_many_answers_are_gone(operator):
    doubled(1), doubled(2)
    told = operator.post(f"{CACHE}/clear", {"prefix": "analytics"}).json()
    assert (told["cleared"], told["entries"]) == (0, 2)
    told = operator.post(f"{CACHE}/clear", {"prefix": "risk:doubled"}).json()
    assert (told["cleared"], told["entries"]) == (2, 0)
    doubled(1)
    assert operator.post(f"{CACHE}/clear").json()["cleared"] == 1


@pytest.mark.parametrize("prefix", ["tasks", "*", "risk*", "risk_monitoring_enabled", "topics", "cache:mode"])
def test_clearing_anything_else_is_refused_with_what_can_be_cleared(operator, prefix, redis):
    redis.set("risk_monitoring_enabled", "1")
    answer = operator.post(f"{CACHE}/clear", {"prefix": prefix})
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert (error["code"], error["attr"]) == ("unknown_prefix", "prefix")
    assert "Expected 'risk' or 'analytics'" in error["detail"]
    assert redis.exists("risk_monitoring_enabled")


@pytest.mark.parametrize("path", ["enable-aggressive-mode", "disable-aggressive-mode", "clear"])
def test_field_that_does_not_exist_is_refused(operator, path):
    answer = operator.post(f"{CACHE}/{path}", {"second": 60})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "unknown_field"


def test_parameter_that_does_not_exist_is_refused(operator):
    assert operator.get(f"{CACHE}/status?prefix=risk").status_code == 400


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_manager", "strategist"])
def test_cache_is_the_operators(role):
    client = client_of(role)
    assert client.get(f"{CACHE}/status").status_code == 403
    assert client.post(f"{CACHE}/clear").status_code == 403


def test_without_redis_the_answer_says_so(operator, settings):
    operator.raise_request_exception = False
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    store.redis_of_answers.cache_clear(), store.script.cache_clear()
    try:
        answer = operator.get(f"{CACHE}/status")
    finally:
        store.redis_of_answers.cache_clear(), store.script.cache_clear()
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["detail"].startswith("Redis cannot be reached.")
