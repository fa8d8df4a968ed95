"""Publishing: a topic is a stream in Redis and a Redis channel of the same name (design.md, decision 3).

A message is encoded once, here. The script splices in `seq` and `epoch`, so that what stands in the stream and
goes over the channel is the very text a socket sends:

    {"type":"message","topic":"tasks:1","seq":7,"epoch":"5f1c…","timestamp":"…Z","data":{…}}
"""

import json
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from django.db import transaction
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import RedisError
from rest_framework.utils.encoders import JSONEncoder

from nautilus.connections import redis_client

HISTORY_MESSAGES = 10_000
HISTORY_SECONDS = 600
# A head outlives its stream, so that a quiet topic keeps its epoch; it does not live for ever, as every task has one.
HEAD_SECONDS = 86_400
MAX_TOPIC_LENGTH = 200

logger = logging.getLogger(__name__)

_HEADER = re.compile(r'\{"type":"message","topic":"(?:[^"\\]|\\.)*","seq":(\d+),"epoch":"([^"\\]+)"')


class BadTopicError(ValueError):
    """A name that no topic can have."""


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    epoch: str
    seq: int
    text: str


def check_topic(name: str) -> str:
    """The name, when a message can be published under it."""
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_TOPIC_LENGTH:
        raise BadTopicError(
            f"Topic {str(name)[:40]!r} has no usable length; expected 1 to {MAX_TOPIC_LENGTH} characters."
        )
    if not name.isprintable() or " " in name or "*" in name:
        raise BadTopicError(
            f"Topic {name!r} holds a space, '*' or an unprintable character; expected e.g. 'news:today'."
        )
    return name


def check_subscription(name: str) -> str:
    """The name, when it can be subscribed to: a topic, or the beginning of topics followed by `*`."""
    if is_pattern(name) and name != "*":
        check_topic(name[:-1])
        return name
    return check_topic(name)


def is_pattern(name: str) -> bool:
    return isinstance(name, str) and name.endswith("*")


def head_key(topic: str) -> str:
    return f"topics:head:{topic}"


def stream_key(topic: str) -> str:
    return f"topics:stream:{topic}"


def new_epoch() -> str:
    return secrets.token_hex(8)


def encode(data: Any) -> str:
    """Strict JSON; dates, decimals and UUIDs as the REST API writes them."""
    return json.dumps(data, cls=JSONEncoder, allow_nan=False, separators=(",", ":"))


def parse_message(topic: str, text: str) -> Message | None:
    """What a hub needs to know of a message, without decoding its data; None for a text that is none of ours."""
    header = _HEADER.match(text)
    return Message(topic, header[2], int(header[1]), text) if header else None


def publish(topic: str, data: Mapping[str, Any], *, client: Redis | None = None) -> int | None:
    """Sends a message to whoever listens, and keeps it for who comes back; answers with its `seq`.

    Redis being away is logged and answered with None: whoever publishes has done its work before, and must not
    fail by this. A bad topic or data that is not JSON raises ValueError: that is a mistake in the caller.
    """
    return _send(check_topic(topic), encode(data), client)


def publish_after_commit(topic: str, data: Mapping[str, Any]) -> None:
    """`publish` once the transaction has committed, at once where there is none, and never if it rolls back.

    The data is encoded now: what changes later does not change the message, and a mistake shows here.
    """
    transaction.on_commit(partial(_send, check_topic(topic), encode(data), None), robust=True)


def _send(topic: str, encoded: str, client: Redis | None) -> int | None:
    before = f'{{"type":"message","topic":{json.dumps(topic)},"seq":'
    after = f',"timestamp":"{utc_now()}","data":{encoded}}}'
    limits = (HISTORY_MESSAGES, HISTORY_SECONDS, HEAD_SECONDS)
    try:
        script = _script(client or redis_client())
        return int(script(keys=[head_key(topic), stream_key(topic)], args=[topic, before, after, new_epoch(), *limits]))
    except (RedisError, OSError) as error:
        logger.warning("Message on '%s' was not published: Redis did not answer: %s", topic, error)
        return None


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _script(client: Redis) -> Script:
    return client.register_script(Path(__file__).with_name("publish.lua").read_text())
