"""Several engines on one Redis: each portfolio is one engine's, whatever happens to the others."""

import pytest

from apps.analytics.real_time_engine import RealTimeAnalyticsEngine
from apps.analytics.streaming.leases import (
    LEASE_PREFIX,
    SHARDS,
    fence_of,
    keep_leases,
    let_go,
    new_engine_id,
    shard_of,
)
from apps.analytics.tests.streamed import engine_with_books, forget_streams, quote, running_engine, updates
from apps.portfolios.tests.factories import make_portfolio, make_trade
from apps.realtime.topics import FencedError, publish_many, stream_key
from apps.risk.tests.desks import DESK_SETTINGS, make_desk
from nautilus.connections import redis_client


@pytest.fixture(autouse=True)
def fresh(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    forget_streams()
    yield
    forget_streams()


def keep(engine_id: str):
    return keep_leases(engine_id, redis_client())


def expire(engine_id: str) -> None:
    """What time does to an engine that renews no more."""
    for shard in range(SHARDS):
        if str(redis_client().get(f"{LEASE_PREFIX}{shard}")).startswith(f"{engine_id}:"):
            redis_client().delete(f"{LEASE_PREFIX}{shard}")
    redis_client().zrem("streaming:engines", engine_id)


# --- Sharing ------------------------------------------------------------------------------------------
def test_first_engine_takes_everything():
    kept = keep(new_engine_id())
    assert (len(kept.leases), kept.alive, kept.share) == (SHARDS, 1, SHARDS)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_engines_come_to_equal_shares_that_do_not_overlap(count):
    engines = [new_engine_id() for _ in range(count)]
    for _ in range(3):
        held = {engine: keep(engine).leases for engine in engines}
    sizes = sorted(len(leases) for leases in held.values())
    assert sum(sizes) == SHARDS
    assert sizes[-1] - sizes[0] <= 1
    assert len(set().union(*held.values())) == SHARDS


def test_engine_keeps_its_leases_by_renewing_them():
    engine = new_engine_id()
    before = keep(engine)
    after = keep(engine)
    assert (after.leases, after.taken) == (before.leases, ())


def test_silent_engine_is_replaced_when_its_leases_are_out():
    dead, heir = new_engine_id(), new_engine_id()
    keep(dead)
    assert keep(heir).leases == {}
    expire(dead)
    assert len(keep(heir).leases) == SHARDS


def test_engine_that_stops_is_replaced_at_once():
    stopping, heir = new_engine_id(), new_engine_id()
    leases = keep(stopping).leases
    assert let_go(stopping, leases, "stopped", redis_client()) == SHARDS
    kept = keep(heir)
    assert (len(kept.leases), kept.alive) == (SHARDS, 1)


def test_leases_that_are_anothers_cannot_be_given_back():
    old, heir = new_engine_id(), new_engine_id()
    leases = keep(old).leases
    expire(old)
    keep(heir)
    assert let_go(old, leases, "stopped", redis_client()) == 0


def test_every_portfolio_has_a_shard_and_they_are_spread():
    shards = [shard_of(f"PORTFOLIO_{number:03d}") for number in range(1_000)]
    assert set(shards) == set(range(SHARDS))


# --- The fence ----------------------------------------------------------------------------------------
def test_fence_lets_through_while_the_lease_is_held():
    lease = keep(new_engine_id()).leases[7]
    assert publish_many([("test:fence", {"n": 1}), ("test:fence", {"n": 2})], fence=fence_of(7, lease)) == [1, 2]
    redis_client().delete("topics:head:test:fence", stream_key("test:fence"))


def test_fence_stops_who_was_replaced():
    old, heir = new_engine_id(), new_engine_id()
    lease = keep(old).leases[7]
    expire(old)
    keep(heir)
    with pytest.raises(FencedError):
        publish_many([("test:fence", {"n": 1})], fence=fence_of(7, lease))
    assert not redis_client().exists(stream_key("test:fence"))


def test_fence_stops_what_was_computed_under_an_earlier_lease_of_the_same_engine():
    engine, other = new_engine_id(), new_engine_id()
    first = keep(engine).leases[7]
    expire(engine)
    keep(other)
    expire(other)
    second = keep(engine).leases[7]
    assert first != second
    with pytest.raises(FencedError):
        publish_many([("test:fence", {"n": 1})], fence=fence_of(7, first))


# --- Engines with books -------------------------------------------------------------------------------
BOOKS = [f"P{number}" for number in range(12)]


@pytest.fixture
def desk(db):
    make_desk()
    for each in BOOKS:
        make_trade(make_portfolio(each, initial_cash=10_000), "AAA", 10, 10)


def both_engines() -> tuple[RealTimeAnalyticsEngine, RealTimeAnalyticsEngine]:
    """Two that have come to their shares."""
    first, second = running_engine(), engine_with_books()
    for engine in (second, first, second, first):
        engine._renewed = 0.0
        engine.step()
    assert len(first.tenure.leases) == len(second.tenure.leases) == SHARDS // 2
    return first, second


def test_two_engines_publish_each_portfolio_once(desk):
    engines = both_engines()
    before = {each: len(updates(each)) for each in BOOKS}
    quote(AAA=10.5)
    for engine in engines:
        engine.step()
    assert {each: len(updates(each)) - before[each] for each in BOOKS} == dict.fromkeys(BOOKS, 1)


def test_heir_publishes_everything_and_says_what_lay_between(desk):
    first, second = both_engines()
    quote(AAA=10.5)
    first.step()
    second.step()
    expire(first.engine_id)
    second._renewed = 0.0
    second.step()
    theirs = [each for each in BOOKS if shard_of(each) in first.tenure.leases]
    for each in theirs:
        gap = updates(each)[-1]["gap"]
        assert gap["reason"] == f"{first.engine_id} fell silent"
        assert gap["from"] < gap["to"]
        assert gap["seconds"] > 0
    quote(AAA=10.6)
    second.step()
    assert {updates(each)[-1]["gap"] for each in BOOKS} == {None}


def test_engine_that_stood_still_publishes_nothing_when_it_wakes(desk):
    first = running_engine()
    heir = engine_with_books()
    quote(AAA=10.5)
    expire(first.engine_id)  # it stands still; its leases are out
    heir.step()
    quote(AAA=10.6)
    heir.step()
    before = {each: len(updates(each)) for each in BOOKS}
    first.tenure.keep = lambda: set()  # type: ignore[method-assign] # it wakes in the middle of a step
    first.step()
    assert {each: len(updates(each)) for each in BOOKS} == before
    assert not {shard_of(each) for each in BOOKS} & set(first.tenure.leases)


def test_engine_that_stops_says_so_to_its_heir(desk):
    first, second = both_engines()
    theirs = [each for each in BOOKS if shard_of(each) in first.tenure.leases]
    first.leave()
    second._renewed = 0.0
    second.step()
    assert {updates(each)[-1]["gap"]["reason"] for each in theirs} == {f"{first.engine_id} stopped"}
