"""A socket without the socket, and a hub to listen to."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from redis import Redis

from apps.realtime import topics
from apps.realtime.batching import MessageBatcher
from apps.realtime.hub import Hub
from apps.realtime.outbox import Outbox
from apps.realtime.protocol import Subscribe
from apps.realtime.subscriptions import Channel, PatternSubscription, Subscription, TopicSubscription
from apps.realtime.tests.conftest import OwnValkey


class Ear:
    """A socket without the socket: takes the frames."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.frames: list[dict[str, Any]] = []
        self.outbox = Outbox(self._take, self._take_overflow)
        self.channel = Channel(self.outbox, MessageBatcher(emit=self.outbox.put))
        self.overflowed = False
        self.subscriptions: dict[str, Subscription] = {}

    async def _take(self, frame: dict[str, Any]) -> None:
        self.frames.append(json.loads(frame["text"]))

    async def _take_overflow(self) -> None:
        self.overflowed = True

    async def subscribe(self, topic: str, since: int | None = None, epoch: str | None = None) -> dict[str, Any]:
        request = Subscribe(topic, since, epoch)
        pattern = PatternSubscription(request, self.channel, self.subscriptions) if topic.endswith("*") else None
        self.subscriptions[topic] = pattern or TopicSubscription(request, self.channel)
        before = len(self.frames)
        await self.hub.subscribe(self.subscriptions[topic], request)
        await self.until(lambda: len(self.frames) > before)
        return self.frames[before]

    async def unsubscribe(self, topic: str) -> None:
        await self.hub.unsubscribe(self.subscriptions.pop(topic))

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if frame["type"] == "message"]

    @property
    def losses(self) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == "subscribed" and not frame["recovered"]]

    async def until(self, is_so: Callable[[], bool], seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"still waiting; last frames: {self.frames[-5:]}"
            await asyncio.sleep(0.01)


def run(valkey: OwnValkey, story: Callable[[Hub], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        hub = Hub(valkey.url)
        try:
            await story(hub)
        finally:
            await hub.close()

    asyncio.run(told())


def in_thread(call: Callable[..., Any], *arguments: Any, **options: Any) -> Awaitable[Any]:
    return asyncio.to_thread(call, *arguments, **options)


def publish(valkey: OwnValkey, topic: str, count: int = 1, client: Redis | None = None) -> None:
    for n in range(count):
        topics.publish(topic, {"n": n}, client=client or valkey.client)
