"""How many sockets listen to which kind of topic, over all processes: each hub says its own every few seconds."""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from redis import Redis

REPORT_SECONDS = 3.0
KEPT_SECONDS = 10
HUBS_KEY = "topics:hubs"  # sorted set: hub -> when it said so last, seconds of Redis's clock
LISTENERS_PREFIX = "topics:listeners:"  # hash: prefix of topics -> sockets


def new_hub_id() -> str:
    return secrets.token_hex(6)


def prefix_of(name: str) -> str:
    """What a topic or a pattern begins with: `risk:alerts:` of `risk:alerts:BOOK` and of `risk:alerts:*`."""
    kept, colon, _ = name.rpartition(":")
    return f"{kept}{colon}" if colon else name


def count_by_prefix(listeners: Mapping[str, int]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for name, number in listeners.items():
        counted[prefix_of(name)] += number
    return counted


async def report_listeners(redis: Any, hub_id: str, counted: Mapping[str, int]) -> None:
    """`redis` is an asyncio client. Raises RedisError."""
    second, _ = await redis.time()
    key = f"{LISTENERS_PREFIX}{hub_id}"
    async with redis.pipeline(transaction=True) as reporting:
        reporting.delete(key)
        if counted:
            reporting.hset(key, mapping=dict(counted))
            reporting.expire(key, KEPT_SECONDS)
        reporting.zadd(HUBS_KEY, {hub_id: second})
        reporting.zremrangebyscore(HUBS_KEY, "-inf", second - KEPT_SECONDS)
        reporting.expire(HUBS_KEY, KEPT_SECONDS)
        await reporting.execute()


def count_listeners(prefixes: Iterable[str], client: Redis) -> dict[str, int]:
    """Sockets that listen to topics of these prefixes, some seconds ago at the most. Raises RedisError."""
    asked = list(prefixes)
    hubs: Any = client.zrange(HUBS_KEY, 0, -1)
    pipeline = client.pipeline(transaction=False)
    for hub in hubs:
        pipeline.hmget(f"{LISTENERS_PREFIX}{hub}", asked)
    rows = pipeline.execute()
    return {prefix: sum(int(row[place] or 0) for row in rows) for place, prefix in enumerate(asked)}
