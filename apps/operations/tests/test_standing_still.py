"""How long a queue stands still, as every process knows it."""

from typing import Any
from uuid import uuid4

import pytest

from apps.operations.checks.standing_still import KEY, Standing
from apps.operations.tests.probing import clean_redis

__all__ = ["clean_redis"]


@pytest.fixture
def queue(clean_redis: Any) -> str:
    name = f"queue-{uuid4()}"
    clean_redis.lpush(name, "first")
    return name


def made_older(client: Any, queue: str, seconds: float) -> None:
    """As if the first look, of whatever process, had been so long ago."""
    since, _, digest = str(client.hget(KEY, queue)).partition(" ")
    client.hset(KEY, queue, f"{float(since) - seconds} {digest}")


def test_process_that_has_just_begun_knows_since_when_a_queue_stands_still(clean_redis: Any, queue: str):
    Standing().look(clean_redis, [queue])
    made_older(clean_redis, queue, 60)
    doctor = Standing()
    assert doctor.look(clean_redis, [queue]) == {queue: 1}
    assert doctor.seconds(queue) >= 60


def test_what_another_process_saw_of_an_earlier_message_does_not_count(clean_redis: Any, queue: str):
    Standing().look(clean_redis, [queue])
    made_older(clean_redis, queue, 60)
    clean_redis.lpush(queue, "second")
    clean_redis.rpop(queue)
    doctor = Standing()
    doctor.look(clean_redis, [queue])
    assert doctor.seconds(queue) < 60


def test_queue_that_is_empty_again_is_forgotten_by_all(clean_redis: Any, queue: str):
    Standing().look(clean_redis, [queue])
    assert clean_redis.hexists(KEY, queue)
    clean_redis.delete(queue)
    Standing().look(clean_redis, [queue])
    assert not clean_redis.exists(KEY)


def test_redis_that_refuses_writes_is_looked_at_all_the_same(clean_redis: Any, queue: str):
    standing = Standing()
    clean_redis.config_set("maxmemory", 1)
    try:
        assert standing.look(clean_redis, [queue]) == {queue: 1}
        since = standing._seen[queue]
        standing.look(clean_redis, [queue])
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert standing._seen[queue] == since, "its own first look is remembered"
    assert not clean_redis.exists(KEY)
