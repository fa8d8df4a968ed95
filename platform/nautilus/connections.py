"""Connections to Redis, one client a process; redis-py drops inherited connections after a fork by itself.

Where REDIS_URL names several servers they follow the primary (nautilus/following.py).
"""

from functools import cache, lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from nautilus.following import redis_from_url


@cache
def redis_client() -> redis.Redis:
    """The process's client, with decoded answers and a time limit on every command.

    One quick retry covers a connection that the server closed while it was idle; an outage is the caller's
    to handle, and shows within `REDIS_TIMEOUT_SECONDS`.
    """
    return _client(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS, retries=1)


def impatient_redis_client() -> redis.Redis:
    """One that tries once, for what must not be carried out twice: a time-out says that it may have been."""
    return _client(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS, retries=0)


@lru_cache(maxsize=8)
def _client(url: str, timeout_seconds: float, retries: int) -> redis.Redis:
    return redis_from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        health_check_interval=30 if retries else 0,
        retry=Retry(NoBackoff(), retries),
    )
