"""The newest message of topics, for a page that is drawn before its socket stands."""

import json
from collections.abc import Iterable
from typing import Any

from redis.exceptions import RedisError

from apps.realtime.steps import stream_key
from nautilus.connections import impatient_redis_client

# Of the live figures of a portfolio, on analytics:updates:{id}.
LIVE_EVENT = "analytics.updated"
# How far back one looks for an event among others of its topic.
LOOKED_AT = 20


def newest_data(topics: Iterable[str], event: str = "") -> dict[str, dict[str, Any]]:
    """The data of each topic's last message, by topic; without those that have none, empty where Redis is away.

    With an `event`, the last message of it, where it is among the topic's last LOOKED_AT.
    """
    named = list(topics)
    if not named:
        return {}
    try:
        with impatient_redis_client().pipeline(transaction=False) as pipe:
            for topic in named:
                pipe.xrevrange(stream_key(topic), count=LOOKED_AT if event else 1)
            found = pipe.execute(raise_on_error=False)
    except RedisError:
        return {}
    entries = {topic: entry for topic, entry in zip(named, found, strict=True) if entry and isinstance(entry, list)}
    newest = {topic: _newest_of([_data_of(fields) for _, fields in entry], event) for topic, entry in entries.items()}
    return {topic: data for topic, data in newest.items() if data is not None}


def _newest_of(data: list[Any], event: str) -> Any:
    """`data` newest first; None where none is of the event."""
    if not event:
        return data[0]
    return next((each for each in data if isinstance(each, dict) and each.get("event") == event), None)


def _data_of(fields: dict[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(fields["text"])["data"]
    return data
