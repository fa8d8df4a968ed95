"""Redis that hangs, restarts, is wiped, or has no memory left: it is said, it mends, and no task is lost."""

import os
import signal
from collections.abc import Iterator

import pytest
import redis

from tests.faults.desk import Desk
from tests.faults.redis_load import Submitted, broadcast, broadcast_until_taken, decided, following
from tests.running import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def direct(desk: Desk) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(desk.platform.redis_url, decode_responses=True, socket_timeout=5) as client:
        yield client


def test_redis_that_hangs_is_told_and_everything_goes_on_when_it_answers_again(desk, fault_line):
    line, work = fault_line("Redis: time-outs (stopped by a signal)"), Submitted(desk.platform, 1000)
    pid = desk.platform.pid("redis")
    with following(desk.platform, "hangs") as follower, desk.platform.client() as client:
        broadcast_until_taken(client, "hangs", 1)
        work.submit(10)
        os.kill(pid, signal.SIGSTOP)
        line.injected()
        try:
            said = desk.wait_for_symptom("redis", "redis-time-outs", 30)
            line.seen(said["symptom"])
            work.submit(3)
            decided(client)
        finally:
            os.kill(pid, signal.SIGCONT)
            line.cured()
        desk.wait_until_healthy("redis", 60)
        broadcast_until_taken(client, "hangs", 2)
        wait_until(lambda: 2 in follower.heard, 60, "the message after it")
        line.mended(lost=work.lost())
    assert line.lost == 0
    assert follower.wrong == []
    assert sorted(set(follower.heard)) == [1, 2]


def test_redis_that_is_restarted_is_told_and_nothing_it_held_is_lost(desk, fault_line):
    line, work = fault_line("Redis: restart"), Submitted(desk.platform, 1100)
    with following(desk.platform, "restarts") as follower, desk.platform.client() as client:
        broadcast_until_taken(client, "restarts", 1)
        work.submit(10)
        desk.platform.stop("redis")
        line.injected()
        try:
            said = desk.wait_for_symptom("redis", "redis-time-outs", 30)
            line.seen(said["symptom"])
            work.submit(3)
            refused = broadcast(client, "restarts", 9)
            assert refused.status_code == 503, refused.text
        finally:
            desk.platform.start("redis")
            line.cured()
        desk.wait_until_healthy("redis", 60)
        assert "restarted" in desk.component("redis")["detail"]
        broadcast_until_taken(client, "restarts", 2)
        wait_until(lambda: 2 in follower.heard, 60, "the message after it")
        line.mended(lost=work.lost())
    assert line.lost == 0
    assert follower.wrong == []
    assert len(follower.epochs) == 1, "its append-only file vouches for the topics"


def test_redis_that_is_wiped_is_told_and_all_tasks_end(desk, fault_line):
    line, work = fault_line("Redis: wiped"), Submitted(desk.platform, 1200)
    with following(desk.platform, "wipes") as follower, desk.platform.client() as client:
        broadcast_until_taken(client, "wipes", 1)
        desk.platform.stop("risk-worker")  # so that the messages are in Redis when it is wiped
        work.submit(10)
        line.injected()
        desk.platform.wipe_redis()
        said = wait_until(lambda: desk.component("redis").get("detail", "").partition("restarted ")[2], 30, "health")
        line.seen(f"restarted {said}")
        desk.platform.start("risk-worker")
        line.cured()
        desk.wait_until_healthy("redis", 60)
        broadcast_until_taken(client, "wipes", 2)
        wait_until(lambda: 2 in follower.heard, 60, "the message after it")
        line.mended(lost=work.lost())
    assert line.lost == 0
    assert follower.wrong == []
    assert len(follower.epochs) == 2, "the first life of the topic is gone, and its follower was told"


def test_redis_whose_memory_is_full_refuses_clearly_and_does_all_when_there_is_room(desk, direct, fault_line):
    line, work = fault_line("Redis: memory full"), Submitted(desk.platform, 1300)
    with desk.platform.client() as client:
        work.submit(5)
        direct.config_set("maxmemory", "1mb")
        line.injected()
        try:
            said = desk.wait_for_symptom("redis", "redis-memory-full", 30)
            line.seen(said["symptom"])
            work.submit(5)
            decided(client)
            refused = broadcast(client, "full", 1)
            assert refused.status_code == 503, refused.text
            assert refused.json()["errors"][0]["detail"]
        finally:
            direct.config_set("maxmemory", "0")
            line.cured()
        desk.wait_until_healthy("redis", 60)
        broadcast_until_taken(client, "full", 2)
        line.mended(lost=work.lost())
    assert line.lost == 0
