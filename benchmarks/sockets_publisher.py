"""The process that publishes, in each contender's own way."""

import asyncio
import os
import time
from collections.abc import Callable
from multiprocessing.synchronize import Semaphore
from typing import Any

from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import Redis

from benchmarks.sockets_messages import EPOCH, FIRST_SEQ, TOPIC, data_sent_now, text_with

# The core layer drops what exceeds this; the publisher is never so far ahead.
CAPACITY = 10_000
# redis-py's own limit of 100 is too few for 500 sockets that leave a group at once: their consumers would fail.
LAYER_CONNECTIONS = 5_000

Publish = Callable[[dict[str, str]], object]


class Publisher:
    def __init__(self, credits: Semaphore) -> None:
        self._credits = credits
        self._ways: dict[str, Publish] = {}

    def flood(self, way: str, messages: int, data_bytes: int) -> int:
        """Publishes as fast as the client lets it; when the first one was sent (monotonic ns)."""
        publish = self._way(way)
        begun = time.monotonic_ns()
        for _ in range(messages):
            if not self._credits.acquire(timeout=60):
                raise TimeoutError(f"The sockets did not get on for 60 s; of {messages} messages some are lost")
            publish(data_sent_now(data_bytes))
        return begun

    def pace(self, way: str, per_second: float, seconds: float, data_bytes: int) -> None:
        """Publishes at an even rate."""
        publish, begun = self._way(way), time.monotonic()
        for number in range(round(per_second * seconds)):
            time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            publish(data_sent_now(data_bytes))

    def prepare(self, way: str) -> None:
        """Connects, and publishes nothing."""
        self._way(way)

    def _way(self, name: str) -> Publish:
        if name not in self._ways:
            self._ways[name] = WAYS[name]()
        return self._ways[name]


def _ours() -> Publish:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
    django.setup()
    from apps.realtime.topics import head_key, publish
    from nautilus.connections import redis_client

    def publish_or_raise(data: dict[str, str]) -> None:
        if publish(TOPIC, data) is None:
            raise ConnectionError("Redis did not take a message; the log says why")

    publish_or_raise({})  # from here on Redis keeps what this process sets
    redis_client().hset(head_key(TOPIC), mapping={"epoch": EPOCH, "seq": FIRST_SEQ})
    return publish_or_raise


def _bare() -> Publish:
    redis = Redis.from_url(os.environ["REDIS_URL"])
    return lambda data: redis.publish(f"bare:{TOPIC}", text_with(data))


def _stock(layer: Any) -> Publish:
    loop = asyncio.new_event_loop()

    def publish(data: dict[str, str]) -> None:
        loop.run_until_complete(layer.group_send(TOPIC, {"type": "push", "text": text_with(data)}))

    return publish


def hosts() -> list[dict[str, Any]]:
    """Where a channel layer finds Redis."""
    # redis-py's own timeout of 5 s is as long as the core layer waits for a message: idle consumers would fail.
    return [{"address": os.environ["REDIS_URL"], "max_connections": LAYER_CONNECTIONS, "socket_timeout": None}]


def _core() -> Publish:
    return _stock(RedisChannelLayer(hosts=hosts(), capacity=CAPACITY))


def _pubsub() -> Publish:
    return _stock(RedisPubSubChannelLayer(hosts=hosts()))


WAYS: dict[str, Callable[[], Publish]] = {"ours": _ours, "bare": _bare, "core": _core, "pubsub": _pubsub}
