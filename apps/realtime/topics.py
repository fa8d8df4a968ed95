"""Publishing: a topic is a stream in Redis and a Redis channel of the same name (design.md, decision 3).

A message is encoded once, here. The script splices in `seq` and `epoch`, so that what stands in the stream and
goes over the channel is the very text a socket sends:

    {"type":"message","topic":"tasks:1","seq":7,"epoch":"5f1c…","timestamp":"…Z","data":{…}}

What a request caused says so: `"request_id"` stands before `"timestamp"` then, and leads through the logs.
"""

import json
import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from django.db import transaction
from redis import Redis
from redis.exceptions import RedisError
from rest_framework.utils.encoders import JSONEncoder

from apps.realtime.outgoing import (
    MESSAGES_AT_ONCE,
    NOTE_SECONDS,
    Attempt,
    Outgoing,
    Ready,
    log_refused,
    tie_to_process,
)
from apps.realtime.steps import Step, head_key, note_key, run_steps, stream_key
from nautilus.connections import impatient_redis_client, redis_client
from nautilus.counting.counters import count_published
from nautilus.logs.ids import current_request_id

HISTORY_MESSAGES = 10_000
HISTORY_SECONDS = 600
# A head outlives its stream, so that a quiet topic keeps its epoch; it does not live for ever, as every task has one.
HEAD_SECONDS = 86_400
KNOWN_TOPICS = 50_000  # whose beginnings of messages are kept in the process
MAX_TOPIC_LENGTH = 200

logger = logging.getLogger(__name__)

_ENCODER = JSONEncoder(allow_nan=False, separators=(",", ":"))
_HEADER = re.compile(
    r'\{"type":"message","topic":"(?:[^"\\]|\\.)*","seq":(\d+),"epoch":"([^"\\]+)"(?:,"request_id":"([^"\\]+)")?'
)


class BadTopicError(ValueError):
    """A name that no topic can have."""


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    epoch: str
    seq: int
    text: str
    request_id: str | None = field(default=None, compare=False)


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


def new_epoch() -> str:
    return secrets.token_hex(8)


def encode(data: Any) -> str:
    """Strict JSON; dates, decimals and UUIDs as the REST API writes them."""
    return _ENCODER.encode(data)


def parse_message(topic: str, text: str) -> Message | None:
    """What a hub needs to know of a message, without decoding its data; None for a text that is none of ours."""
    header = _HEADER.match(text)
    return Message(topic, header[2], int(header[1]), text, header[3]) if header else None


def publish(topic: str, data: Mapping[str, Any] | Encoded, *, client: Redis | None = None) -> int | None:
    """Sends a message to whoever listens, and keeps it for who comes back; answers with its `seq`.

    While Redis is away the message waits in this process, behind those that wait already, and the answer is None:
    whoever publishes has done its work before, and must not fail by this. A bad topic or data that is not JSON
    raises ValueError: that is a mistake in the caller. For a `client` of the caller's own nothing waits.
    """
    return publish_all([(topic, data)], client=client)[0]


def publish_all(
    messages: Sequence[tuple[str, Mapping[str, Any] | Encoded]], *, client: Redis | None = None
) -> list[int | None]:
    """`publish` of many (topic, data), MESSAGES_AT_ONCE in a step."""
    ready = [_ready(topic, data) for topic, data in messages]
    count_published(topic for topic, _ in messages)
    return _send_or_drop(ready, client) if client else OUTGOING.publish(ready)


def publish_once(messages: Sequence[tuple[str, str, Mapping[str, Any]]], *, client: Redis | None = None) -> list[int]:
    """`publish_many` of (name, topic, data): one whose name was published in the last NOTE_SECONDS is not sent again.

    For messages that a table keeps until they went out: the answer, or the process, may be lost in between. 0 stands
    for the seq of one that its topic's keys did not take.
    """
    steps = [_step(_lines(topic, encode(data), utc_now()), note=note_key(name)) for name, topic, data in messages]
    answers = run_steps(client or redis_client(), steps, at_once=MESSAGES_AT_ONCE)
    seqs = [seq for answer in answers for seq in answer]
    log_refused([topic for _, topic, _ in messages], seqs)
    count_published(topic for (_, topic, _), seq in zip(messages, seqs, strict=True) if seq)
    return seqs


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
    redis, steps, owners = client or redis_client(), [], []
    for number, (fence, messages) in enumerate(batches):
        encoded = [(topic, _encoded(data)) for topic, data in messages]
        for start in range(0, len(encoded), MESSAGES_AT_ONCE):
            now = utc_now()
            lines = "".join([_lines(topic, data, now) for topic, data in encoded[start : start + MESSAGES_AT_ONCE]])
            steps.append(_step(lines, fence=fence, history_messages=history_messages))
            owners.append(number)
    seqs: list[list[int]] = [[] for _ in batches]
    for number, answer in zip(owners, run_steps(redis, steps), strict=True):
        seqs[number] += answer
    count_published(
        topic for (_, messages), sent in zip(batches, seqs, strict=True) for topic, _ in messages[: len(sent)]
    )
    return seqs


def publish_after_commit(topic: str, data: Mapping[str, Any]) -> None:
    """`publish` once the transaction has committed, at once where there is none, and never if it rolls back.

    The data is encoded now: what changes later does not change the message, and a mistake shows here.
    """
    transaction.on_commit(partial(publish, check_topic(topic), Encoded(encode(data))), robust=True)


def _encoded(data: Mapping[str, Any] | Encoded) -> str:
    return data if isinstance(data, Encoded) else encode(data)


def _ready(topic: str, data: Mapping[str, Any] | Encoded) -> Ready:
    lines = _lines(topic, _encoded(data), utc_now())
    # What the script cannot take fails here, in its caller, and not where it would hold up the others.
    lines.encode()
    if lines.count("\n") != 3:
        raise ValueError(f"The data of a message on {topic!r} has line breaks; expected JSON that stands on one line.")
    return Ready(topic, lines)


def _send_or_drop(messages: Sequence[Ready], client: Redis) -> list[int | None]:
    step = _step("".join([message.lines for message in messages]), note=note_key(secrets.token_hex(8)))
    try:
        (seqs,) = run_steps(client, [step])
    except (RedisError, OSError) as error:
        logger.warning("Message on '%s' was not published: Redis did not answer: %s", messages[0].topic, error)
        return [None] * len(messages)
    return [seq or None for seq in seqs]


def _send(attempt: Attempt) -> list[int]:
    lines = "".join([message.lines for message in attempt.messages])
    lost = "".join([f"{topic}\n{count}\n" for topic, count in attempt.lost])
    (seqs,) = run_steps(impatient_redis_client(), [_step(lines, note=note_key(attempt.name), lost=lost)])
    return seqs


def _step(
    lines: str,
    *,
    fence: Fence = _NO_FENCE,
    history_messages: int = HISTORY_MESSAGES,
    note: str = "",
    lost: str = "",
) -> Step:
    """Keys and arguments of the script: all of the messages in one step, or none."""
    kept = (history_messages, HISTORY_SECONDS, HEAD_SECONDS, head_key(""), stream_key(""))
    return (3, fence.key, fence.stamp, note, fence.value, new_epoch(), *kept, lines, NOTE_SECONDS, lost)


def _lines(topic: str, data: str, now: str) -> str:
    """A message for the script. None of its three lines has a line break in it."""
    request_id = current_request_id()
    caused_by = f',"request_id":"{request_id}"' if request_id else ""
    return f'{_beginning(topic)}{caused_by},"timestamp":"{now}","data":{data}}}\n'


@lru_cache(maxsize=KNOWN_TOPICS)
def _beginning(topic: str) -> str:
    """The first two of a message's three lines. Raises BadTopicError."""
    return f'{check_topic(topic)}\n{{"type":"message","topic":{json.dumps(topic)},"seq":\n'


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


OUTGOING = Outgoing(_send)
tie_to_process(OUTGOING)
