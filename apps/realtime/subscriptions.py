"""One socket's place in one topic. It forwards the next message or none: never one twice, never past a gap."""

import asyncio
import json
from collections import deque
from typing import Any, Protocol

from apps.realtime import protocol
from apps.realtime.batching import MessageBatcher
from apps.realtime.filters import Filter
from apps.realtime.history import History
from apps.realtime.outbox import Outbox
from apps.realtime.topics import Message

# What comes while the stream is read. More than this is read from the stream again; below what Outbox.room() grants.
MAX_HELD = 250
# A long history goes out in pieces, between which the event loop turns to others.
REPLAYED_AT_ONCE = 100


class Sink(Protocol):
    """Where messages go: the socket's outbox, or its batcher."""

    def put(self, text: str) -> None: ...


class Channel:
    """What a subscription needs of its socket."""

    def __init__(self, outbox: Outbox, batcher: MessageBatcher) -> None:
        self.outbox = outbox
        self.batcher = batcher

    def tell(self, frame: str) -> None:
        """An answer; what was batched before comes before it."""
        self.batcher.flush()
        self.outbox.put(frame)


class _Listener:
    def __init__(self, request: protocol.Subscribe, channel: Channel) -> None:
        self.name = request.topic
        self.filter: Filter | None = request.filter
        self.is_open = True
        self._channel = channel
        self._sink: Sink = channel.batcher if request.batch else channel.outbox

    def _send(self, message: Message) -> None:
        if self.filter is None or self.filter.matches(_data_of(message)):
            self._sink.put(message.text)


class TopicSubscription(_Listener):
    """Stands at `seq` of `epoch`. While `live` it takes messages from the hub, else it is reading the stream."""

    def __init__(self, request: protocol.Subscribe, channel: Channel) -> None:
        super().__init__(request, channel)
        self.epoch = ""
        self.seq = 0
        self.last: Message | None = None  # the message at `seq`, where it came from here
        self.live = False
        self.reading = asyncio.Lock()
        self._came_before: Message | None = None
        self._begun_after = ("", 0)
        self._held: deque[Message] = deque(maxlen=MAX_HELD)

    @property
    def has_begun(self) -> bool:
        return bool(self.epoch)

    def offer(self, message: Message) -> bool:
        """Takes a live message; False when one before it is missing, and the stream has to be read."""
        if self.live and message.seq == self.seq + 1 and message.epoch == self.epoch:
            self.seq = message.seq
            self.last = message
            self._send(message)
            return True
        if self._has(message):
            return True
        self._held.append(message)
        was_live, self.live = self.live, False
        return not was_live

    def takes_over(self, message: Message) -> bool:
        """Whether a message comes here and not by a pattern: what was published before this began comes by that."""
        if not self.has_begun:
            self._came_before = message
            return False
        epoch, seq = self._begun_after
        return message.epoch != epoch or message.seq > seq

    async def begin(self, history: History, request: protocol.Subscribe) -> None:
        """Answers the client's request, and sends what it missed, or what there is of that."""
        since, now = request.since, self._now(history)
        recovered = since is None or history.continues(request.epoch, since)
        self.epoch = history.epoch
        if recovered:
            self.seq, told = (now if since is None else since), now
        else:
            self.seq = told = history.nearest(request.epoch or history.epoch, since or 0)
        self._begun_after = (self.epoch, self.seq)
        self._tell(told, recovered, request.request_id)
        await self._replay(history)

    def _now(self, history: History) -> int:
        before = self._came_before
        return max(history.seq, before.seq) if before and before.epoch == history.epoch else history.seq

    async def resume(self, history: History) -> None:
        """Sends what was missed while Redis was away. What is lost is told, and the rest is sent."""
        if history.epoch != self.epoch or self.seq > history.seq:
            seq = history.nearest(self.epoch, self.seq)
            self.epoch = history.epoch
            self._jump(seq)
        await self._replay(history)

    async def settle(self) -> bool:
        """Goes live with what came meanwhile; False when the stream has to be read once more."""
        await self._channel.outbox.room()
        held, self._held = self._held, deque(maxlen=MAX_HELD)
        self.live = self.is_open and all(self._forward(message) or self._has(message) for message in held)
        return self.live or not self.is_open

    def close(self) -> None:
        self.is_open = self.live = False

    async def _replay(self, history: History) -> None:
        for number, message in enumerate(history.messages, 1):
            await self._channel.outbox.room()
            if not self.is_open:
                return  # left meanwhile: nothing is lost to whoever does not listen
            if message.seq > self.seq + 1:
                self._jump(message.seq - 1)  # a publisher had to drop what is missing here
            self._forward(message)
            if number % REPLAYED_AT_ONCE == 0:
                await asyncio.sleep(0)
        if self.is_open and self.seq < history.seq:
            self._jump(history.seq)

    def _jump(self, seq: int) -> None:
        """Goes on behind what is lost, and says so."""
        self.seq = seq
        self._tell(seq, recovered=False)

    def _forward(self, message: Message) -> bool:
        is_next = self.is_open and message.epoch == self.epoch and message.seq == self.seq + 1
        if is_next:
            self.seq = message.seq
            self.last = message
            self._send(message)
        return is_next

    def _has(self, message: Message) -> bool:
        return message.epoch == self.epoch and message.seq <= self.seq

    def _tell(self, seq: int, recovered: bool, request_id: protocol.RequestId = None) -> None:
        frame = protocol.subscribed(self.name, seq=seq, epoch=self.epoch, recovered=recovered, request_id=request_id)
        self._channel.tell(frame)


class PatternSubscription(_Listener):
    """All topics that begin alike. Their messages have their own topic's seq; what was missed is told, not replayed."""

    def __init__(self, request: protocol.Subscribe, channel: Channel, topics: dict[str, "Subscription"]) -> None:
        """`topics` are the socket's subscriptions: a message comes once, by the narrowest that covers it."""
        super().__init__(request, channel)
        self.has_begun = False
        self._topics = topics

    def offer(self, message: Message) -> bool:
        if self.has_begun and self.covers(message.topic) and not self._is_covered_closer(message):
            self._send(message)
        return True

    def covers(self, topic: str) -> bool:
        # A broadcast word's pattern (`news*`) is open to all, so it never reaches into topics with a rule of their own.
        return topic.startswith(self.name[:-1]) and (":" in self.name or ":" not in topic)

    def begin(self, request_id: protocol.RequestId) -> None:
        self.has_begun = True
        self._tell(recovered=True, request_id=request_id)

    def tell_of_loss(self) -> None:
        self._tell(recovered=False)

    def close(self) -> None:
        self.is_open = self.has_begun = False

    def _is_covered_closer(self, message: Message) -> bool:
        own = self._topics.get(message.topic)
        if isinstance(own, TopicSubscription):
            return own.takes_over(message)
        longer = (name for name in self._topics if len(name) > len(self.name))
        patterns = (self._topics[name] for name in longer)
        return any(
            isinstance(each, PatternSubscription) and each.has_begun and each.covers(message.topic) for each in patterns
        )

    def _tell(self, recovered: bool, request_id: protocol.RequestId = None) -> None:
        self._channel.tell(
            protocol.subscribed(self.name, seq=None, epoch=None, recovered=recovered, request_id=request_id)
        )


Subscription = TopicSubscription | PatternSubscription

_decoded: tuple[Message | None, Any] = (None, None)


def _data_of(message: Message) -> Any:
    """Decoded once for all the filters of this process: they are offered the same message one after the other."""
    global _decoded
    if _decoded[0] is not message:
        _decoded = (message, json.loads(message.text)["data"])
    return _decoded[1]
