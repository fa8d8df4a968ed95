"""The cache's side in Redis: every step is one script, so that of many processes one leads."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.commands.core import Script
from redis.retry import Retry

from nautilus.cache.keys import GENERATION_KEY, MODE_KEY, SIZES_KEY, STATISTICS_KEY, lock_key, news_channel
from nautilus.following import redis_from_url

logger = logging.getLogger(__name__)

# For so long nobody asks a Redis that did not answer: its time-out is not to be paid by every request.
AWAY_SECONDS = 2.0
# How long one wait on the socket is at most: a thread that is told to stop notices it between two of them.
WAIT_SLICE_SECONDS = 1.0

_SCRIPTS = Path(__file__).parent / "lua"


class AwayError(Exception):
    """Redis did not answer a moment ago, or does not now: the answer is computed without it."""


class Look(NamedTuple):
    """`state`: hit, stale, revalidate (a stale one that the caller is to renew), lead, wait or alone.

    `left_ms`: of an answer's life, negative for one that is stale; for wait, of the lock's.
    """

    state: str
    generation: str
    age_ms: int
    left_ms: int
    body: bytes


class Lock(NamedTuple):
    key: str
    own: str
    generation: str


@cache
def redis_of_answers() -> redis.Redis:
    """The process's client for answers, which are bytes."""
    return redis_from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=settings.REDIS_TIMEOUT_SECONDS,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 1),
    )


@cache
def script(name: str) -> Script:
    return redis_of_answers().register_script((_SCRIPTS / f"{name}.lua").read_text())


class _Away:
    """Whether Redis is away, as this process saw it last; says so once an outage, and counts what it cost."""

    def __init__(self) -> None:
        self.until = 0.0
        self.is_told = False
        self.uncounted = 0

    def note(self, error: Exception) -> None:
        self.until = time.monotonic() + AWAY_SECONDS
        if not self.is_told:
            logger.warning("The cache is not used: Redis does not answer: %s", error)
        self.is_told = True

    def note_answer(self) -> None:
        if self.is_told:
            logger.info("The cache is used again: Redis answers")
        self.is_told = False


away = _Away()


@contextmanager
def answering() -> Iterator[None]:
    """Raises AwayError instead of Redis' own errors, and at once for a while after one."""
    if time.monotonic() < away.until:
        raise AwayError
    try:
        yield
    except (redis.RedisError, OSError) as error:
        away.note(error)
        raise AwayError from error
    away.note_answer()


def look(key: str, token: str, *, waited: bool = False) -> Look:
    keys = [key, lock_key(key), MODE_KEY, GENERATION_KEY, STATISTICS_KEY]
    with answering():
        found = script("look")(keys=keys, args=[token, _lock_ms(), "1" if waited else "0"])
    if away.uncounted:
        _count_what_was_missed()
    return Look(found[0].decode(), found[1].decode(), int(found[2]), int(found[3]), found[4])


def new_token() -> str:
    return secrets.token_hex(8)


def lock_of(key: str, token: str, generation: str) -> Lock:
    """The lock as `look` has written it."""
    return Lock(key, f"{token}:{generation}", generation)


def keep(lock: Lock, body: bytes, ttl_ms: int) -> str:
    """Returns kept, cleared, full or too_large (an empty body); whoever waits is told either way."""
    keys = [lock.key, lock_key(lock.key), MODE_KEY, GENERATION_KEY, SIZES_KEY]
    limits: list[str | int] = [settings.CACHE_MAX_BYTES, _lock_ms(), news_channel(lock.key)]
    with answering():
        return script("keep")(keys=keys, args=[lock.own, lock.generation, ttl_ms, body, *limits]).decode()


def release(lock: Lock) -> None:
    with answering():
        script("release")(keys=[lock_key(lock.key)], args=[lock.own, news_channel(lock.key)])


def renew(lock: Lock) -> bool:
    """Whether the lock is still one's own."""
    with answering():
        return bool(script("renew")(keys=[lock_key(lock.key)], args=[lock.own, _lock_ms()]))


def _lock_ms() -> int:
    return int(settings.CACHE_LOCK_SECONDS * 1000)


def count(**numbers: int) -> None:
    """Adds to the statistics of all processes."""
    with answering():
        pipeline = redis_of_answers().pipeline(transaction=False)
        for name, number in numbers.items():
            pipeline.hincrby(STATISTICS_KEY, name, number)
        pipeline.execute()


def _count_what_was_missed() -> None:
    missed, away.uncounted = away.uncounted, 0
    count(misses=missed, unavailable=missed)


@contextmanager
def listening(key: str) -> Iterator["News"]:
    """News of a key's computation, from now on."""
    pubsub: Any = redis_of_answers().pubsub(ignore_subscribe_messages=True)
    try:
        with answering():
            pubsub.subscribe(news_channel(key))
        yield News(pubsub)
    finally:
        pubsub.close()


class News:
    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    def wait(self, seconds: float) -> None:
        """Until there is some, or the time is over."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with answering():
                message = self._pubsub.get_message(timeout=min(left, WAIT_SLICE_SECONDS))
            if message is not None:
                return
