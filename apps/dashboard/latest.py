"""The newest message of topics, for a page that is drawn before its socket stands."""

import json
from collections.abc import Iterable
from typing import Any

from redis.exceptions import RedisError

from apps.realtime.steps import stream_key
from nautilus.connections import impatient_redis_client


def newest_data(topics: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The data of each topic's last message, by topic; without those that have none, empty where Redis is away."""
    named = list(topics)
    if not named:
        return {}
    try:
        with impatient_redis_client().pipeline(transaction=False) as pipe:
            for topic in named:
                pipe.xrevrange(stream_key(topic), count=1)
            found = pipe.execute(raise_on_error=False)
    except RedisError:
        return {}
    entries = {topic: entry for topic, entry in zip(named, found, strict=True) if entry and isinstance(entry, list)}
    return {topic: _data_of(entry[0][1]) for topic, entry in entries.items()}


def _data_of(fields: dict[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(fields["text"])["data"]
    return data
