"""One socket's place in one topic. It forwards the next message or none: never one twice, never past a gap."""

import asyncio
from collections import deque

from apps.realtime import protocol
from apps.realtime.history import History
from apps.realtime.outbox import Outbox
from apps.realtime.topics import Message

# What comes while the stream is read. More than this is read from the stream again; below what Outbox.room() grants.
MAX_HELD = 250


class TopicSubscription:
    """Stands at `seq` of `epoch`. While `live` it takes messages from the hub, else it is reading the stream."""

    def __init__(self, topic: str, outbox: Outbox) -> None:
        self.name = topic
        self.outbox = outbox
        self.epoch = ""
        self.seq = 0
        self.live = False
        self.is_open = True
        self.reading = asyncio.Lock()
        self._held: deque[Message] = deque(maxlen=MAX_HELD)

    @property
    def has_begun(self) -> bool:
        return bool(self.epoch)

    def offer(self, message: Message) -> bool:
        """Takes a live message; False when one before it is missing, and the stream has to be read."""
        if self.live and message.seq == self.seq + 1 and message.epoch == self.epoch:
            self.seq = message.seq
            self.outbox.put(message.text)
            return True
        if self._has(message):
            return True
        self._held.append(message)
        was_live, self.live = self.live, False
        return not was_live

    async def begin(self, history: History, request: protocol.Subscribe) -> None:
        """Answers the client's request, and sends what it missed."""
        since = request.since
        recovered = since is None or history.continues(request.epoch, since)
        self.epoch = history.epoch
        self.seq = since if recovered and since is not None else history.seq
        self._tell(history.seq, recovered, request.request_id)
        await self._replay(history)

    async def resume(self, history: History) -> None:
        """Sends what was missed while Redis was away. What is lost is told, and the rest is sent."""
        if not history.continues(self.epoch, self.seq):
            self.epoch, self.seq = history.epoch, history.nearest(self.epoch, self.seq)
            self._tell(self.seq, recovered=False)
        await self._replay(history)

    async def settle(self) -> bool:
        """Goes live with what came meanwhile; False when the stream has to be read once more."""
        await self.outbox.room()
        held, self._held = self._held, deque(maxlen=MAX_HELD)
        self.live = self.is_open and all(self._forward(message) or self._has(message) for message in held)
        return self.live or not self.is_open

    def close(self) -> None:
        self.is_open = self.live = False

    async def _replay(self, history: History) -> None:
        for message in history.messages:
            await self.outbox.room()
            self._forward(message)

    def _forward(self, message: Message) -> bool:
        is_next = self.is_open and message.epoch == self.epoch and message.seq == self.seq + 1
        if is_next:
            self.seq = message.seq
            self.outbox.put(message.text)
        return is_next

    def _has(self, message: Message) -> bool:
        return message.epoch == self.epoch and message.seq <= self.seq

    def _tell(self, seq: int, recovered: bool, request_id: protocol.RequestId = None) -> None:
        frame = protocol.subscribed(self.name, seq=seq, epoch=self.epoch, recovered=recovered, request_id=request_id)
        self.outbox.put(frame)


class PatternSubscription:
    """All topics that begin alike. Their messages have their own topic's seq; what was missed is told, not replayed."""

    def __init__(self, pattern: str, outbox: Outbox, topics: dict[str, "Subscription"]) -> None:
        """`topics` are the socket's subscriptions: what comes under its own name does not come here again."""
        self.name = pattern
        self.outbox = outbox
        self.is_open = True
        self.has_begun = False
        self._topics = topics

    def offer(self, message: Message) -> bool:
        if self.has_begun and message.topic not in self._topics and self._covers(message.topic):
            self.outbox.put(message.text)
        return True

    def begin(self, request_id: protocol.RequestId) -> None:
        self.has_begun = True
        self._tell(recovered=True, request_id=request_id)

    def tell_of_loss(self) -> None:
        self._tell(recovered=False)

    def close(self) -> None:
        self.is_open = self.has_begun = False

    def _covers(self, topic: str) -> bool:
        # A broadcast word's pattern (`news*`) is open to all, so it never reaches into topics with a rule of their own.
        return ":" in self.name or ":" not in topic

    def _tell(self, recovered: bool, request_id: protocol.RequestId = None) -> None:
        frame = protocol.subscribed(self.name, seq=None, epoch=None, recovered=recovered, request_id=request_id)
        self.outbox.put(frame)


Subscription = TopicSubscription | PatternSubscription
