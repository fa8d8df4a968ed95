"""The least that a server can do: a raw ASGI application, and one loop over `send` for each message.

Fed by one Redis subscription; or from within by a socket that says how many messages of how many bytes of data it
wants, which leaves out Redis and is the fastest that the loop can be.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from redis.asyncio import Redis

from benchmarks.sockets_messages import TOPIC, data_sent_now, text_with

Send = Callable[[dict[str, Any]], Awaitable[None]]

sends: list[Send] = []
running: list[asyncio.Task[None]] = []


async def application(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    await receive()
    if not running:
        running.append(asyncio.create_task(_follow_redis()))
    sends.append(send)
    try:
        await send({"type": "websocket.accept"})
        while (said := await receive())["type"] == "websocket.receive":
            running[1:] = [asyncio.create_task(_burst(**json.loads(said["text"])))]
    finally:
        sends.remove(send)


async def _burst(messages: int, data_bytes: int) -> None:
    text = text_with(data_sent_now(data_bytes))
    to = tuple(sends)
    for _ in range(messages):
        await _send_all(to, text)


async def _send_all(to: Iterable[Send], text: str) -> None:
    for send in to:
        await send({"type": "websocket.send", "text": text})


async def _follow_redis() -> None:
    async with Redis.from_url(os.environ["REDIS_URL"], decode_responses=True).pubsub() as link:
        await link.subscribe(f"bare:{TOPIC}")
        async for message in link.listen():
            if message["type"] == "message":
                await _send_all(tuple(sends), message["data"])
