"""Where a subscription stands: what comes next, what came before, what is missing. No I/O here."""

from enum import Enum
from typing import Any

from nautilus_client.items import HISTORY_LOST, MESSAGES_MISSING, NEW_EPOCH, PATTERN_NOT_RESUMED, Gap


class Verdict(Enum):
    NEXT = "next"
    OLD = "old"
    MISSING = "missing"  # messages before this one did not come


class TopicPlace:
    """In one topic. `seq` and `epoch` are what the server is asked to go on from."""

    def __init__(self, topic: str, since: int | None, epoch: str | None, *, is_filtered: bool) -> None:
        self.topic = topic
        self.seq = since
        self.epoch = epoch
        self._is_filtered = is_filtered
        self._taken = since or 0
        self._asked_again_at: tuple[int | None, str | None] | None = None

    def request(self) -> dict[str, Any]:
        told = {"since": self.seq, "epoch": self.epoch}
        return {name: value for name, value in told.items() if value is not None}

    def begin(self, frame: dict[str, Any]) -> Gap | None:
        """The server's `subscribed`: the answer to a request, or by itself, where it lost messages."""
        before, self.epoch = self.epoch, frame["epoch"]
        if not frame["recovered"]:
            reason = NEW_EPOCH if before and before != self.epoch else HISTORY_LOST
            return self._jump(frame["seq"], reason)
        if self.seq is None:
            self.seq = self._taken = frame["seq"]
        return None

    def check(self, frame: dict[str, Any]) -> Verdict:
        if frame.get("epoch", self.epoch) != self.epoch:
            return Verdict.MISSING
        # A pong may have moved `seq` of a filtered topic, so that only what was taken tells what came twice.
        if frame["seq"] <= self._taken:
            return Verdict.OLD
        is_next = self._is_filtered or frame["seq"] == self._taken + 1
        return Verdict.NEXT if is_next else Verdict.MISSING

    def may_ask_again(self) -> bool:
        """Once from each place; a server that leaves out the same messages again does not have them."""
        here = (self.seq, self.epoch)
        is_first, self._asked_again_at = here != self._asked_again_at, here
        return is_first

    def skip_to(self, frame: dict[str, Any]) -> Gap:
        self.epoch = frame.get("epoch", self.epoch)
        return self._jump(frame["seq"] - 1, MESSAGES_MISSING)

    def move(self, frame: dict[str, Any]) -> None:
        self._taken = frame["seq"]
        self.seq = max(self.seq or 0, self._taken)

    def advance(self, seq: int) -> None:
        """What a pong says: up to here the filter let nothing more through."""
        self.seq = max(self.seq or 0, seq)

    def _jump(self, seq: int, reason: str) -> Gap:
        self.seq = self._taken = seq
        return Gap(self.topic, seq, self.epoch, reason)


class PatternPlace:
    """In all topics that begin alike: each counts by itself, and nothing is read back."""

    seq: int | None = None
    epoch: str | None = None

    def __init__(self, pattern: str) -> None:
        self.topic = pattern
        self._has_begun = False

    def request(self) -> dict[str, Any]:
        return {}

    def begin(self, frame: dict[str, Any]) -> Gap | None:
        is_first, self._has_begun = not self._has_begun, True
        return None if is_first else Gap(self.topic, None, None, PATTERN_NOT_RESUMED)

    def check(self, frame: dict[str, Any]) -> Verdict:
        return Verdict.NEXT

    def may_ask_again(self) -> bool:
        return False

    def skip_to(self, frame: dict[str, Any]) -> Gap:
        return Gap(self.topic, None, None, MESSAGES_MISSING)

    def move(self, frame: dict[str, Any]) -> None:
        """Nothing moves: `seq` is of the message's topic, not of the pattern."""

    def advance(self, seq: int) -> None:
        """As `move`."""


Place = TopicPlace | PatternPlace


def place_of(topic: str, since: int | None, epoch: str | None, *, is_filtered: bool) -> Place:
    """Raises ValueError where a pattern is to go on from a `since`."""
    if not topic.endswith("*"):
        return TopicPlace(topic, since, epoch, is_filtered=is_filtered)
    if since is not None or epoch is not None:
        raise ValueError(f"{topic!r} is a pattern, and of a pattern nothing is read back; leave out since and epoch")
    return PatternPlace(topic)
