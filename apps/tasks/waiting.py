"""`GET /api/v1/tasks/{id}?wait=20`: the answer is held in the event loop, where waiting costs no thread.

The request goes to the WSGI application first, which checks who asks; only a task that is still processing is waited
for, and then asked for again. Its topic says when it ends; every few seconds the row is looked at as well, because a
message may be lost with Redis and the row cannot.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from apps.realtime.batching import MessageBatcher
from apps.realtime.hub import HubUnavailableError, hub_of_this_process
from apps.realtime.outbox import Outbox
from apps.realtime.protocol import Subscribe
from apps.realtime.subscriptions import Channel, TopicSubscription
from apps.tasks.api import LONGEST_POLL_SECONDS
from apps.tasks.models import Task

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOK_AGAIN_SECONDS = 3.0
_TASK_PATH = re.compile(r"/api/v1/tasks/([0-9a-f-]{36})/?\Z")


class LongPoll:
    """ASGI middleware around the HTTP application."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _TASK_PATH.match(scope.get("path", "")) if scope.get("method") == "GET" else None
        wait_seconds = _wait_asked(scope) if path else 0.0
        if not path or not wait_seconds:
            await self.app(scope, receive, send)
            return
        answer = await self._answer_at_end(path[1], scope, wait_seconds)
        for message in answer:
            await send(message)

    async def _answer_at_end(self, task_id: str, scope: Scope, wait_seconds: float) -> list[Message]:
        deadline = time.monotonic() + wait_seconds
        answer = await self._ask(scope)
        while _is_processing(answer) and (left := deadline - time.monotonic()) > 0:
            await _ended(task_id, min(left, LOOK_AGAIN_SECONDS))
            answer = await self._ask(scope)
        return answer

    async def _ask(self, scope: Scope) -> list[Message]:
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await self.app(dict(scope), _empty_body, keep)
        return sent


async def _empty_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _wait_asked(scope: Scope) -> float:
    """The seconds asked for; 0 where they are none or wrong, and then the view says what is wrong."""
    values = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("wait", ["0"])
    try:
        seconds = float(values[-1])
    except ValueError:
        return 0.0
    return seconds if 0 < seconds <= LONGEST_POLL_SECONDS else 0.0


def _is_processing(answer: list[Message]) -> bool:
    if not answer or answer[0].get("status") != 200:
        return False
    body = b"".join(message.get("body", b"") for message in answer[1:])
    return json.loads(body)["status"] == Task.Status.PROCESSING


async def _ended(task_id: str, seconds: float) -> None:
    """Returns when the task's topic says that it has ended, or after the time."""
    end = asyncio.Event()

    async def look(event: dict[str, Any]) -> None:
        frame = json.loads(event["text"])
        if frame["type"] == "message" and frame["data"]["status"] != Task.Status.PROCESSING:
            end.set()

    async def overflow() -> None:
        end.set()

    request = Subscribe(topic=f"tasks:{task_id}", since=0)
    outbox = Outbox(look, overflow)
    subscription = TopicSubscription(request, Channel(outbox, MessageBatcher(emit=outbox.put)))
    hub = hub_of_this_process()
    try:
        until = asyncio.get_running_loop().time() + seconds
        async with asyncio.timeout_at(until):
            await hub.subscribe(subscription, request)
        async with asyncio.timeout_at(until):  # its own: redis-py may swallow the end of the first one (Python < 3.12)
            await end.wait()
    except HubUnavailableError:
        await asyncio.sleep(min(seconds, 0.5))
    except TimeoutError:
        pass
    finally:
        outbox.close()
        await hub.unsubscribe(subscription)
