"""Connections to Redis, one client a process; redis-py drops inherited connections after a fork by itself."""

from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


@cache
def redis_client() -> redis.Redis:
    """The process's client, with decoded answers and a time limit on every command.

    One quick retry covers a connection that the server closed while it was idle; an outage is the caller's
    to handle, and shows within `REDIS_TIMEOUT_SECONDS`.
    """
    return redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=settings.REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=settings.REDIS_TIMEOUT_SECONDS,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 1),
    )
