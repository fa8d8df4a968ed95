import logging
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from apps.analytics.cache import cache_analytics_result
from nautilus.api.errors import DomainError
from nautilus.cache import control, results, store
from nautilus.cache.keys import GENERATION_KEY, MODE_KEY, UnknownPrefixError
from nautilus.cache.renewal import Renewals
from nautilus.cache.results import _flights

_names = count(1)


@pytest.fixture(autouse=True)
def redis():
    client = store.redis_of_answers()
    client.flushdb()
    yield client
    client.flushdb()


class Counted:
    """A function that counts how often it computes, under a name of its own."""

    def __init__(self, answer=None, **how) -> None:
        self.computed = 0
        self.version = "v1"
        self._answer = answer or (lambda n: {"n": n, "third": n / 3})
        how.setdefault("version", lambda *args, **kwargs: self.version)
        self.ask = cache_analytics_result(name=f"counted_{next(_names)}", **how)(self.function)

    def function(self, n: int, scale: float = 1.0):
        self.computed += 1
        return self._answer(n)


def age(redis, key: str, seconds: float) -> None:
    """Makes an answer older than it is."""
    redis.hset(key, "at", int(redis.hget(key, "at")) - int(seconds * 1000))


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_second_equal_call_is_answered_without_computing():
    counted = Counted()
    assert counted.ask(1) == counted.ask(1) == {"n": 1, "third": 1 / 3}
    assert counted.computed == 1
    assert (counted.ask.ask(2).status, counted.ask.ask(2).status) == ("miss", "hit")


def test_arguments_count_by_name_and_with_their_defaults():
    counted = Counted()
    counted.ask(1)
    counted.ask(n=1, scale=1.0)
    assert counted.computed == 1
    counted.ask(1, 2.0)
    assert counted.computed == 2


def test_new_version_of_the_data_makes_the_old_answer_unreachable():
    counted = Counted()
    counted.ask(1)
    counted.version = "v2"
    assert counted.ask.ask(1).status == "miss"
    assert counted.computed == 2


@pytest.mark.parametrize(
    "value", [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 2**63, [1, [2.5, None]], {"ä": "\0"}]
)
def test_kept_answer_equals_the_computed_one_to_the_bit(value):
    counted = Counted(lambda n: {"value": value})
    computed, kept = counted.ask(1), counted.ask(1)
    assert repr(computed) == repr(kept) == repr({"value": value})


def test_computed_answer_has_the_types_that_a_kept_one_has():
    counted = Counted(lambda n: {"pair": (1, 2), 3: "three"})
    assert counted.ask(1) == counted.ask(1) == {"pair": [1, 2], "3": "three"}


def test_every_caller_has_a_value_of_its_own():
    counted = Counted(lambda n: {"rows": []})
    counted.ask(1)["rows"].append("mine")
    assert counted.ask(1) == {"rows": []}


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}])
def test_what_is_no_json_is_refused_by_name(value):
    counted = Counted(lambda n: value)
    with pytest.raises((ValueError, TypeError), match=f"The result of {counted.ask.name} cannot be kept"):
        counted.ask(1)


def test_unknown_prefix_is_refused_where_the_function_is_made():
    with pytest.raises(ValueError, match="prefix is 'tasks'; expected one of analytics, risk"):
        cache_analytics_result(prefix="tasks", version=lambda: "1")


def test_key_names_prefix_function_version_and_arguments():
    counted = Counted(prefix="risk")
    prefix, function, version, digest = counted.ask.key_of(1).split(":")
    assert (prefix, function, version, len(digest)) == ("risk", counted.ask.name, "v1", 32)
    counted.version = "3/7 *?"
    assert counted.ask.key_of(1).split(":")[2] == "3-7---"


def test_answers_expire_within_a_tenth_of_their_time(redis):
    counted = Counted(ttl=100)
    for n in range(50):
        counted.ask(n)
    lives = [redis.pttl(counted.ask.key_of(n)) / 1000 for n in range(50)]
    assert min(lives) >= 85  # 90 s, less what the test takes
    assert max(lives) <= 110
    assert max(lives) - min(lives) > 5


def test_large_answer_is_kept_compressed(redis):
    counted = Counted(lambda n: [0.125] * 100_000)  # 600 kB of text
    assert counted.ask(1) == counted.ask(1) == [0.125] * 100_000
    assert counted.computed == 1
    assert int(redis.hget(counted.ask.key_of(1), "size")) < 10_000


def test_answer_above_the_limit_is_computed_each_time_and_nobody_queues_for_it(settings, redis):
    settings.CACHE_MAX_ENTRY_BYTES = 1024
    counted = Counted(lambda n: [x / 7 for x in range(1000)])
    first, second = counted.ask.ask(1), counted.ask.ask(1)
    assert first.value == second.value
    assert (first.status, second.status, counted.computed) == ("miss", "miss", 2)
    assert redis.hget(counted.ask.key_of(1), "body") == b""


def test_full_cache_keeps_nothing_more_until_something_goes(settings):
    counted = Counted(lambda n: "x" * 1000)
    settings.CACHE_MAX_BYTES = 2500
    for n in (1, 2, 3):
        counted.ask(n)
    assert [counted.ask.ask(n).status for n in (1, 2, 3)] == ["hit", "hit", "miss"]
    control.clear()
    counted.ask(3)
    assert counted.ask.ask(3).status == "hit"


def test_threads_that_ask_at_once_share_one_computation():
    begun, go_on = threading.Event(), threading.Event()

    def slow(n: int):
        begun.set()
        go_on.wait(20)
        return {"n": n}

    counted = Counted(slow)
    with ThreadPoolExecutor(51) as threads:
        leader = threads.submit(counted.ask, 1)
        begun.wait(20)
        others = [threads.submit(counted.ask, 1) for _ in range(50)]
        wait_until(lambda: _flights._open[counted.ask.key_of(1)].followers == 50)
        go_on.set()
        assert all(each.result() == {"n": 1} for each in [leader, *others])
    assert counted.computed == 1
    told = control.status()
    assert (told["misses"], told["hits"], told["waits"]) == (1, 50, 50)


def test_error_is_raised_to_all_that_waited_and_is_not_kept():
    begun, go_on = threading.Event(), threading.Event()

    def fail(n: int):
        begun.set()
        go_on.wait(20)
        raise DomainError("AAPL has 3 returns.")

    counted = Counted(fail)
    with ThreadPoolExecutor(10) as threads:
        asked = [threads.submit(counted.ask, 1)]
        begun.wait(20)
        asked += [threads.submit(counted.ask, 1) for _ in range(9)]
        wait_until(lambda: _flights._open[counted.ask.key_of(1)].followers == 9)
        go_on.set()
        assert {str(each.exception()) for each in asked} == {"AAPL has 3 returns."}
    assert counted.computed == 1
    with pytest.raises(DomainError):
        counted.ask(1)
    assert (counted.computed, control.status()["errors"]) == (2, 11)


def test_caller_that_is_stopped_hands_over_to_one_that_waits():
    begun, go_on = threading.Event(), threading.Event()

    def stopped_first(n: int):
        if counted.computed == 1:
            begun.set()
            go_on.wait(20)
            raise SoftTimeLimitExceeded
        return {"n": n}

    counted = Counted(stopped_first)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(counted.ask, 1)
        begun.wait(20)
        second = threads.submit(counted.ask, 1)
        wait_until(lambda: _flights._open[counted.ask.key_of(1)].followers == 1)
        go_on.set()
        assert isinstance(first.exception(), SoftTimeLimitExceeded)
        assert second.result() == {"n": 1}


def test_function_that_asks_itself_the_same_does_not_wait_for_itself():
    def recursive(n: int):
        return counted.ask(n) if counted.computed == 1 else {"n": n}

    counted = Counted(recursive)
    assert counted.ask(1) == {"n": 1}


def test_answer_begun_before_a_clearing_is_not_kept():
    def clear_meanwhile(n: int):
        if counted.computed == 1:
            control.clear(["analytics"])
        return {"computed": counted.computed}

    counted = Counted(clear_meanwhile)
    assert counted.ask(1) == {"computed": 1}
    assert counted.ask(1) == {"computed": 2}
    assert counted.ask.ask(1).status == "hit"


def test_who_asks_after_a_clearing_does_not_wait_for_what_was_begun_before(redis):
    counted = Counted()
    key = counted.ask.key_of(1)
    redis.set(f"cache:lock:{key}", "another:0", px=60_000)
    redis.incr(GENERATION_KEY)
    assert counted.ask.ask(1).status == "miss"


def test_leader_whose_question_was_sent_twice_does_not_wait_for_itself():
    """The client repeats a command whose answer did not come."""
    token = store.new_token()
    assert [store.look("risk:twice:1:0", token).state for _ in range(2)] == ["lead", "lead"]


def test_dead_leader_is_followed_when_its_lock_expires(redis):
    counted = Counted()
    redis.set(f"cache:lock:{counted.ask.key_of(1)}", "dead:0", px=300)
    assert counted.ask(1) == {"n": 1, "third": 1 / 3}
    assert counted.computed == 1


def test_lock_is_held_while_the_answer_is_computed(settings, redis, monkeypatch):
    settings.CACHE_LOCK_SECONDS = 0.5
    monkeypatch.setattr(results, "_renewals", Renewals())  # the process's own may sleep by the longer time
    lives = []

    def slow(n: int):
        for _ in range(12):
            time.sleep(0.1)
            lives.append(redis.pttl(f"cache:lock:{counted.ask.key_of(1)}"))

    counted = Counted(slow)
    counted.ask(1)
    assert min(lives) > 0
    assert redis.exists(f"cache:lock:{counted.ask.key_of(1)}") == 0


def test_clearing_takes_answers_under_the_prefix_and_nothing_else(redis):
    analytics, risk = Counted(), Counted(prefix="risk")
    analytics.ask(1), risk.ask(1), risk.ask(2)
    others = {"risk_monitoring_enabled": "1", "risk:notes": "mine", "risk_queue": "q", "topics:head:risk:alerts:1": "h"}
    redis.mset(others)
    assert control.clear(["risk"]) == 2
    assert sorted(key.decode() for key in redis.mget(others)) == sorted(others.values())
    assert analytics.ask.ask(1).status == "hit"
    assert control.clear() == 1


def test_one_function_can_be_cleared_without_those_that_begin_alike(redis):
    one = cache_analytics_result(prefix="risk", name="analyze", version=lambda n: "1")(lambda n: n)
    other = cache_analytics_result(prefix="risk", name="analyze_all", version=lambda n: "1")(lambda n: n)
    one(1), other(1)
    assert control.clear(["risk:analyze"]) == 1
    assert other.ask(1).status == "hit"


@pytest.mark.parametrize(
    "prefix", ["*", "risk*", "risk:*", "tasks", "risk_", "risk:", "", "Risk", "risk:a:b:c", "risk:[a]"]
)
def test_what_answers_are_not_kept_under_cannot_be_cleared(prefix):
    with pytest.raises(UnknownPrefixError, match="No answers are kept under"):
        control.clear([prefix])


def test_bytes_follow_what_is_kept_and_what_is_cleared():
    counted = Counted(lambda n: "x" * 1000)
    counted.ask(1), counted.ask(2)
    assert 2000 < control.status()["bytes"] < 2400  # two texts of 1,002 characters, and their keys
    control.clear()
    assert control.status()["bytes"] == 0


def test_nothing_asked_has_no_ratio():
    told = control.status()
    assert (told["hits"], told["misses"], told["hit_ratio"], told["mode"], told["expires_at"]) == (
        0,
        0,
        None,
        "normal",
        None,
    )


# --- The aggressive mode


def test_aggressive_mode_gives_an_old_answer_while_one_computes_anew(redis):
    control.enable_aggressive_mode(3600)
    counted = Counted(lambda n: {"computed": counted.computed}, ttl=100)
    counted.ask(1)
    age(redis, counted.ask.key_of(1), 1000)
    assert counted.ask.ask(1).status == "hit"  # fresh for 12 x 100 s, give or take a tenth
    age(redis, counted.ask.key_of(1), 400)
    old = counted.ask.ask(1)
    assert (old.value, old.status) == ({"computed": 1}, "stale")
    assert old.age_seconds == pytest.approx(1400, abs=5)
    assert old.headers["X-Cache"] == "stale"
    assert int(old.headers["Cache-Status"].removeprefix("Nautilus; hit; ttl=")) < 0
    wait_until(lambda: counted.ask.ask(1).value == {"computed": 2})
    assert counted.computed == 2


def test_old_answer_is_renewed_by_one_of_many_that_ask(redis):
    control.enable_aggressive_mode(3600)
    go_on = threading.Event()

    def slow_the_second_time(n: int):
        if counted.computed > 1:
            go_on.wait(20)
        return {"computed": counted.computed}

    counted = Counted(slow_the_second_time, ttl=100)
    counted.ask(1)
    age(redis, counted.ask.key_of(1), 1400)
    assert {counted.ask.ask(1).status for _ in range(50)} == {"stale"}
    go_on.set()
    wait_until(lambda: counted.ask(1) == {"computed": 2})
    assert counted.computed == 2


def test_end_of_the_aggressive_mode_makes_old_answers_none(redis):
    control.enable_aggressive_mode(3600)
    counted = Counted(ttl=100)
    counted.ask(1)
    age(redis, counted.ask.key_of(1), 200)
    assert counted.ask.ask(1).status == "hit"
    control.disable_aggressive_mode()
    assert counted.ask.ask(1).status == "miss"


def test_aggressive_mode_ends_by_itself(redis):
    control.enable_aggressive_mode(3600)
    assert 3590 < redis.ttl(MODE_KEY) <= 3600
    told = control.status()
    assert (told["mode"], told["ttl_seconds"]) == ("aggressive", 3600)
    redis.pexpire(MODE_KEY, 1)
    wait_until(lambda: control.status()["mode"] == "normal")
    assert control.status()["expires_at"] is None


def test_new_version_is_computed_in_the_aggressive_mode_too():
    control.enable_aggressive_mode(3600)
    counted = Counted()
    counted.ask(1)
    counted.version = "v2"
    assert counted.ask.ask(1).status == "miss"


def test_answer_that_cannot_be_renewed_stays_and_is_said(redis, caplog):
    control.enable_aggressive_mode(3600)

    def fail_later(n: int):
        if counted.computed > 1:
            raise DomainError("The prices are gone.")
        return {"n": n}

    counted = Counted(fail_later, ttl=100)
    counted.ask(1)
    age(redis, counted.ask.key_of(1), 1400)
    assert counted.ask.ask(1).status == "stale"
    wait_until(lambda: "its old answer stays until it expires" in caplog.text)
    wait_until(lambda: redis.exists(f"cache:lock:{counted.ask.key_of(1)}") == 0)
    assert counted.ask.ask(1).value == {"n": 1}


# --- Redis away


@pytest.fixture
def redis_away(settings):
    """The address of a port on which nothing listens."""
    settings.REDIS_URL, before = "redis://127.0.0.1:1/0", settings.REDIS_URL
    store.redis_of_answers.cache_clear(), store.script.cache_clear()
    store.away = store._Away()

    def come_back() -> None:
        settings.REDIS_URL = before
        store.redis_of_answers.cache_clear(), store.script.cache_clear()
        store.away.until = 0

    yield come_back
    come_back()
    store.away.uncounted = 0


def test_without_redis_every_call_computes_and_it_is_said_once(redis_away, caplog):
    counted = Counted()
    with caplog.at_level(logging.WARNING):
        answers = [counted.ask.ask(1) for _ in range(3)]
    assert [answer.status for answer in answers] == ["miss"] * 3
    assert counted.computed == 3
    assert caplog.text.count("The cache is not used: Redis does not answer") == 1


def test_without_redis_threads_of_a_process_still_share_a_computation(redis_away):
    begun, go_on = threading.Event(), threading.Event()

    def slow(n: int):
        begun.set()
        go_on.wait(20)
        return {"n": n}

    counted = Counted(slow)
    with ThreadPoolExecutor(10) as threads:
        asked = [threads.submit(counted.ask, 1)]
        begun.wait(20)
        asked += [threads.submit(counted.ask, 1) for _ in range(9)]
        wait_until(lambda: _flights._open[counted.ask.key_of(1)].followers == 9)
        go_on.set()
        assert all(each.result() == {"n": 1} for each in asked)
    assert counted.computed == 1


def test_what_was_computed_without_redis_is_counted_when_it_is_back(redis_away):
    counted = Counted()
    counted.ask(1), counted.ask(1)
    redis_away()
    counted.ask(1)
    told = control.status()
    assert (told["unavailable"], told["misses"]) == (2, 3)


def test_redis_that_goes_away_during_a_computation_does_not_fail_the_call(redis, settings):
    def cut(n: int):
        store.away.until = time.monotonic() + 60
        return {"n": n}

    counted = Counted(cut)
    try:
        assert counted.ask(1) == {"n": 1}
    finally:
        store.away.until = 0
