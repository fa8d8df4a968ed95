"""Publishing: a topic is a stream in Redis and a Redis channel of the same name (design.md, decision 3).

A message is encoded once, here. The script splices in `seq` and `epoch`, so that what stands in the stream and
goes over the channel is the very text a socket sends:

    {"type":"message","topic":"tasks:1","seq":7,"epoch":"5f1c…","timestamp":"…Z","data":{…}}
"""

import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from django.db import transaction
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError, RedisError
from rest_framework.utils.encoders import JSONEncoder

from nautilus.connections import redis_client

HISTORY_MESSAGES = 10_000
HISTORY_SECONDS = 600
# A head outlives its stream, so that a quiet topic keeps its epoch; it does not live for ever, as every task has one.
HEAD_SECONDS = 86_400
# So many go out in one step of Redis, which does nothing else meanwhile: about a millisecond.
MESSAGES_AT_ONCE = 64
CALLS_AT_ONCE = 8  # that go in one round trip
KNOWN_TOPICS = 50_000  # whose beginnings of messages are kept in the process
MAX_TOPIC_LENGTH = 200

logger = logging.getLogger(__name__)

_ENCODER = JSONEncoder(allow_nan=False, separators=(",", ":"))
_HEADER = re.compile(r'\{"type":"message","topic":"(?:[^"\\]|\\.)*","seq":(\d+),"epoch":"([^"\\]+)"')


class BadTopicError(ValueError):
    """A name that no topic can have."""


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    epoch: str
    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class Fence:
    """Messages go out only while the Redis key `key` holds `value`: looked at in the very step that publishes them.

    The hash `stamp` is then given when (`at`, microseconds of Redis's clock) and under which value (`by`) they did.
    """

    key: str
    value: str
    stamp: str


_NO_FENCE = Fence("", "", "")


class Encoded(str):
    """Data that is strict JSON already."""

    __slots__ = ()


class FencedError(Exception):
    """The fence does not hold the value any more; the message says which."""


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
    return _ENCODER.encode(data)


def parse_message(topic: str, text: str) -> Message | None:
    """What a hub needs to know of a message, without decoding its data; None for a text that is none of ours."""
    header = _HEADER.match(text)
    return Message(topic, header[2], int(header[1]), text) if header else None


def publish(topic: str, data: Mapping[str, Any] | Encoded, *, client: Redis | None = None) -> int | None:
    """Sends a message to whoever listens, and keeps it for who comes back; answers with its `seq`.

    Redis being away is logged and answered with None: whoever publishes has done its work before, and must not
    fail by this. A bad topic or data that is not JSON raises ValueError: that is a mistake in the caller.
    """
    return _send(check_topic(topic), data if isinstance(data, Encoded) else encode(data), client)


def publish_many(
    messages: Sequence[tuple[str, Mapping[str, Any] | Encoded]],
    *,
    client: Redis | None = None,
    history_messages: int = HISTORY_MESSAGES,
    fence: Fence | None = None,
) -> list[int]:
    """`publish` of many (topic, data), MESSAGES_AT_ONCE in a step; answers with their seqs, in order.

    Of each topic at most about `history_messages` are kept. Raises RedisError or OSError where Redis does not answer,
    and FencedError where the fence has fallen: the messages from there on were not sent.
    """
    (seqs,) = publish_batches([(fence or _NO_FENCE, messages)], client=client, history_messages=history_messages)
    if len(seqs) < len(messages):
        raise FencedError(f"{fence and fence.key} does not hold {fence and fence.value} any more")
    return seqs


def publish_batches(
    batches: Sequence[tuple[Fence, Sequence[tuple[str, Mapping[str, Any] | Encoded]]]],
    *,
    client: Redis | None = None,
    history_messages: int = HISTORY_MESSAGES,
) -> list[list[int]]:
    """`publish_many` of many, each behind its own fence; of each the seqs, fewer than messages where its fence fell.

    Several steps go in one round trip: what a step waits for is the two processes taking turns on a busy machine.
    """
    redis, calls, owners = client or redis_client(), [], []
    for number, (fence, messages) in enumerate(batches):
        encoded = [(topic, data if isinstance(data, Encoded) else encode(data)) for topic, data in messages]
        for start in range(0, len(encoded), MESSAGES_AT_ONCE):
            calls.append(_call(encoded[start : start + MESSAGES_AT_ONCE], history_messages, fence))
            owners.append(number)
    seqs: list[list[int]] = [[] for _ in batches]
    for number, answer in zip(owners, _run_calls(redis, calls), strict=True):
        seqs[number] += answer
    return seqs


def publish_after_commit(topic: str, data: Mapping[str, Any]) -> None:
    """`publish` once the transaction has committed, at once where there is none, and never if it rolls back.

    The data is encoded now: what changes later does not change the message, and a mistake shows here.
    """
    transaction.on_commit(partial(_send, check_topic(topic), encode(data), None), robust=True)


def _send(topic: str, encoded: str, client: Redis | None) -> int | None:
    try:
        (seq,) = publish_many([(topic, Encoded(encoded))], client=client)
    except (RedisError, OSError) as error:
        logger.warning("Message on '%s' was not published: Redis did not answer: %s", topic, error)
        return None
    return seq


def _call(encoded: Sequence[tuple[str, str]], history_messages: int, fence: Fence) -> tuple[Any, ...]:
    """Keys and arguments of the script: all of the messages in one step, or none. No line of them has a line break."""
    said = f',"timestamp":"{utc_now()}","data":'
    lines = [f"{_beginning(topic)}{said}{data}}}\n" for topic, data in encoded]
    kept = (history_messages, HISTORY_SECONDS, HEAD_SECONDS, head_key(""), stream_key(""))
    return (2, fence.key, fence.stamp, fence.value, new_epoch(), *kept, "".join(lines))


def _run_calls(client: Redis, calls: Sequence[tuple[Any, ...]]) -> Iterator[list[int]]:
    for start in range(0, len(calls), CALLS_AT_ONCE):
        some = calls[start : start + CALLS_AT_ONCE]
        try:
            yield from _round_trip(client, some)
        except NoScriptError:  # Redis is another one, or began anew; no call was carried out
            client.script_load(_script(client).script)
            yield from _round_trip(client, some)


def _round_trip(client: Redis, calls: Sequence[tuple[Any, ...]]) -> list[list[int]]:
    sha = _script(client).sha
    if len(calls) == 1:
        return [client.evalsha(sha, *calls[0])]
    pipeline = client.pipeline(transaction=False)
    for call in calls:
        pipeline.evalsha(sha, *call)
    return pipeline.execute()


@lru_cache(maxsize=KNOWN_TOPICS)
def _beginning(topic: str) -> str:
    """The first two of a message's three lines. Raises BadTopicError."""
    return f'{check_topic(topic)}\n{{"type":"message","topic":{json.dumps(topic)},"seq":\n'


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _script(client: Redis) -> Script:
    return client.register_script(Path(__file__).with_name("publish.lua").read_text())
