"""What an operator says to everybody who listens.

Plain words only. What stands on `risk:alerts:…`, `tasks:…` or `system:health` is believed to be the platform's own, and
is: nobody writes there by hand.
"""

import json
import logging
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from redis import Redis

from apps.realtime import access
from apps.realtime.statistics import receivers_of
from apps.realtime.topics import BadTopicError, check_topic, encode, head_key, publish_once, stream_key
from apps.realtime.websocket_manager import WebSocketManager
from nautilus.api.errors import DomainError, UnavailableError
from nautilus.connections import redis_client

MAX_MESSAGE_BYTES = 64 * 1024

logger = logging.getLogger(__name__)

_WORD = re.compile(r"[\w.-]+")

_taken: set[str] = set()


class TopicInvalidError(DomainError):
    code = "invalid_topic"


class TopicNotOpenError(DomainError):
    code = "topic_not_open"
    status = 403


class MessageInvalidError(DomainError):
    code = "invalid_message"


class TopicRefusedError(UnavailableError):
    code = "topic_refused"


def take_word(topic: str) -> None:
    """Keeps a plain word for the app that publishes on it: nobody broadcasts there by hand."""
    _taken.add(check_topic(topic))


def broadcast(
    topic: str, message: Any, *, user: Any, client: Redis | None = None, name: str | None = None
) -> dict[str, Any]:
    """Publishes at once. Raises RedisError where Redis does not answer: then it may have gone out all the same.

    Tried again under the same `name` within NOTE_SECONDS, it goes out once.
    """
    checked, data = check_open(topic), check_message(message)
    redis = client or redis_client()
    # First: a question that fails must not leave a message behind, which a second try would send again.
    reports = WebSocketManager(redis).ask()
    (seq,) = publish_once([(_name(name, checked, data), checked, data)], client=redis)
    if not seq:
        raise TopicRefusedError(
            f"Redis did not take the message on '{checked}'.",
            f"Its keys, {head_key(checked)} and {stream_key(checked)}, are another program's: delete them.",
        )
    logger.warning("User %s broadcast message %d on '%s'", getattr(user, "pk", None), seq, checked)
    receivers = receivers_of(checked, reports)
    return {"topic": checked, "seq": seq, "receivers": receivers, "silent_processes": reports.silent}


def _name(given: str | None, topic: str, data: Mapping[str, Any]) -> str:
    """With the message in it: one that is sent with the key of another that failed is another message."""
    if given is None:
        return secrets.token_hex(8)
    return f"{given}:{sha256(f'{topic} {encode(data)}'.encode()).hexdigest()}"


def check_open(topic: str) -> str:
    """The topic, when an operator may broadcast on it."""
    try:
        check_topic(topic)
    except BadTopicError as error:
        raise TopicInvalidError(str(error), attr="topic") from error
    if topic in _taken or access.is_owned(topic):
        raise TopicNotOpenError(f"Only the platform itself writes on '{topic}'.", "Broadcast on a word of your own.")
    if not _WORD.fullmatch(topic):  # nobody may follow it, or it is a channel of Celery's in the same Redis
        raise TopicInvalidError(
            f"'{topic}' is no word to broadcast on.", "Expected letters, digits and _.-, such as 'news'.", attr="topic"
        )
    return topic


def check_message(message: Any) -> Mapping[str, Any]:
    """The message as an object; a text is wrapped into one."""
    data = {"message": message} if isinstance(message, str) else message
    if not isinstance(data, dict):
        shown = json.dumps(message)[:60]
        raise MessageInvalidError(f"message: {shown} is neither.", "Expected an object or a text.", attr="message")
    size = len(encode(data).encode())
    if size > MAX_MESSAGE_BYTES:
        raise MessageInvalidError(f"message has {size:,} bytes.", f"Expected at most {MAX_MESSAGE_BYTES:,}.", "message")
    return data
