"""Where a subscription stands: what comes next, what came before, what is missing. No I/O here."""

from enum import Enum
from typing import Any, NamedTuple

from nautilus_client.items import HISTORY_LOST, MESSAGES_MISSING, NEW_EPOCH, PATTERN_NOT_RESUMED, Gap

MAX_KNOWN_TOPICS = 10_000  # of a pattern; `tasks:*` meets a new topic with each task


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
        self._start: tuple[str | None, int] | None = None

    def request(self) -> dict[str, Any]:
        told = {"since": self.seq, "epoch": self.epoch}
        return {name: value for name, value in told.items() if value is not None}

    def begin(self, frame: dict[str, Any]) -> Gap | None:
        """The server's `subscribed`: the answer to a request, or by itself, where it lost messages."""
        gap = self._begin(frame)
        self._start = self._start or (self.epoch, self._taken)
        return gap

    def _begin(self, frame: dict[str, Any]) -> Gap | None:
        before, self.epoch = self.epoch, frame["epoch"]
        if not frame["recovered"]:
            reason = NEW_EPOCH if before and before != self.epoch else HISTORY_LOST
            return self._jump(frame["seq"], reason)
        if self.seq is None:
            self.seq = self._taken = frame["seq"]
        return None

    def came_before(self, frame: dict[str, Any]) -> bool:
        """Whether it is of before the beginning: the server sends that by the pattern that covers the topic."""
        epoch, seq = self._start or (None, 0)
        return frame.get("epoch", epoch) == epoch and frame["seq"] <= seq

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


class Known(NamedTuple):
    epoch: str
    seq: int
    may_jump: bool = False


class PatternPlace:
    """In all topics that begin alike: each counts by itself, and nothing is read back."""

    seq: int | None = None
    epoch: str | None = None

    def __init__(self, pattern: str, *, is_filtered: bool) -> None:
        self.topic = pattern
        self._is_filtered = is_filtered
        self._has_begun = False
        self._known: dict[str, Known] = {}  # the last message of each topic, the one that was quiet longest first

    def request(self) -> dict[str, Any]:
        return {}

    def begin(self, frame: dict[str, Any]) -> Gap | None:
        self._known.clear()
        is_first, self._has_begun = not self._has_begun, True
        return None if is_first else Gap(self.topic, None, None, PATTERN_NOT_RESUMED)

    def came_before(self, frame: dict[str, Any]) -> bool:
        return False

    def check(self, frame: dict[str, Any]) -> Verdict:
        known = self._known.get(frame["topic"])
        if known is None:
            return Verdict.NEXT
        if frame.get("epoch", "") != known.epoch:
            return Verdict.NEXT if known.may_jump else Verdict.MISSING
        if frame["seq"] <= known.seq:
            return Verdict.OLD
        is_next = self._is_filtered or known.may_jump or frame["seq"] == known.seq + 1
        return Verdict.NEXT if is_next else Verdict.MISSING

    def may_ask_again(self) -> bool:
        return False

    def skip_to(self, frame: dict[str, Any]) -> Gap:
        topic, seq, epoch = frame["topic"], frame["seq"], frame.get("epoch", "")
        reason = MESSAGES_MISSING if self._known[topic].epoch == epoch else NEW_EPOCH
        return Gap(topic, seq - 1, epoch, reason)

    def move(self, frame: dict[str, Any]) -> None:
        topic = frame["topic"]
        self._known.pop(topic, None)
        self._known[topic] = Known(frame.get("epoch", ""), frame["seq"])
        if len(self._known) > MAX_KNOWN_TOPICS:
            del self._known[next(iter(self._known))]

    def let_jump(self, topic: str) -> None:
        """The topic had a subscription of its own, which has ended: what went to that one is not missing here."""
        if known := self._known.get(topic):
            self._known[topic] = known._replace(may_jump=True)

    def advance(self, seq: int) -> None:
        """Nothing moves: a `seq` is of a topic, not of the pattern."""


Place = TopicPlace | PatternPlace


def place_of(topic: str, since: int | None, epoch: str | None, *, is_filtered: bool) -> Place:
    """Raises ValueError where a pattern is to go on from a `since`."""
    if not topic.endswith("*"):
        return TopicPlace(topic, since, epoch, is_filtered=is_filtered)
    if since is not None or epoch is not None:
        raise ValueError(f"{topic!r} is a pattern, and of a pattern nothing is read back; leave out since and epoch")
    return PatternPlace(topic, is_filtered=is_filtered)


def covers(pattern: str, name: str) -> bool:
    """Whether the pattern takes in the topic, or all topics of another pattern."""
    # As the server has it: a word's pattern (`news*`) does not reach into topics with a prefix (`news:today`).
    is_open_word = ":" in pattern or ":" not in name
    return pattern.endswith("*") and name.startswith(pattern[:-1]) and is_open_word
