"""What a subscription gives: messages, and gaps where messages are missing."""

from dataclasses import dataclass
from typing import Any

# Reasons of a gap.
HISTORY_LOST = "history_lost"  # the server does not keep what follows the last message any more
NEW_EPOCH = "new_epoch"  # the server's store began anew: its seq has nothing to do with the one before
PATTERN_NOT_RESUMED = "pattern_not_resumed"  # of a pattern nothing is read back: not connected, or too slow
MESSAGES_MISSING = "messages_missing"  # the server left messages out, and again when it was asked for them


@dataclass(frozen=True, slots=True)
class Message:
    """`seq` grows by one from message to message of a topic, within one `epoch` of it."""

    topic: str
    seq: int
    epoch: str
    timestamp: str
    data: Any


@dataclass(frozen=True, slots=True)
class Gap:
    """Between the items before and after this one, messages may be missing.

    The topic goes on after `seq` of `epoch`; both are None where a pattern as a whole was not followed for a while.
    """

    topic: str
    seq: int | None
    epoch: str | None
    reason: str


Item = Message | Gap


def message_of(frame: dict[str, Any]) -> Message:
    return Message(frame["topic"], frame["seq"], frame.get("epoch", ""), frame.get("timestamp", ""), frame["data"])
