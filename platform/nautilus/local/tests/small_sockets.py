"""The API's shapes once more, with sockets: an ASGI application under uvicorn, one portfolio, jobs that end at once."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from nautilus.local.tests.small_platform import METRICS, RISK_RESULT

PORTFOLIO = {"id": "PORTFOLIO_001", "cash": 6_833.52, "inception_date": "2015-01-02", "as_of": "2022-12-28"}


class SocketApi:
    def __init__(self, breaks: int = 0, loses: str = "", shortens: str = "") -> None:
        """`breaks`: so many sockets end before a task does; the other two name a task with something missing."""
        self.address = ""
        self.asked: list[str] = []
        self._breaks = breaks
        self._loses = loses
        self._shortens = shortens

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._follow(receive, send)
        else:
            status, answer = await self._answer(scope, receive)
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def _answer(self, scope: Any, receive: Any) -> tuple[int, Any]:
        if scope["method"] == "POST":
            kind = "risk" if scope["path"].endswith("/risk/analyze") else "performance"
            name = json.loads((await receive())["body"])["portfolio_id"]
            return 202, task(f"{kind}-{name}", "processing")
        if scope["path"] == "/api/v1/portfolios":
            return 200, {"results": [PORTFOLIO], "next": None}
        self.asked.append(scope["path"].rsplit("/", 1)[1])
        return 200, task(self.asked[-1], "succeeded")

    async def _follow(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            frame = json.loads(event["text"])
            if frame["type"] == "subscribe":
                for answer in self._push(frame):
                    await send({"type": "websocket.send", "text": json.dumps(answer)})
            if self._breaks:
                self._breaks -= 1
                await send({"type": "websocket.close", "code": 1012})
                return

    def _push(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        task_id = asked["topic"].removeprefix("tasks:")
        is_lost = task_id == self._loses
        told = {"topic": asked["topic"], "seq": 2, "epoch": "e1"}
        yield {"type": "subscribed", **told, "recovered": not is_lost, "id": asked["id"]}
        ended = task(task_id, "succeeded")
        if task_id == self._shortens:
            ended |= {"result": None, "result_url": f"/api/v1/tasks/{task_id}"}
        states = [] if is_lost else [task(task_id, "processing"), *([] if self._breaks else [ended])]
        for seq, data in enumerate(states, 1):
            if seq > asked.get("since", 0):
                yield {"type": "message", **told, "seq": seq, "timestamp": "", "data": data}


def task(task_id: str, status: str) -> dict[str, Any]:
    result = RISK_RESULT if "risk" in task_id else {"metrics": METRICS}
    outcome = {"result": result if status == "succeeded" else None, "error": None, "progress": None}
    return {"task_id": task_id, "status": status, **outcome}


@contextmanager
def serving(api: SocketApi) -> Iterator[SocketApi]:
    server = uvicorn.Server(uvicorn.Config(api, port=0, log_level="warning", lifespan="off"))
    started = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(_serve(server, started),))
    thread.start()
    assert started.wait(10)
    api.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield api
    server.should_exit = True
    thread.join()


async def _serve(server: uvicorn.Server, started: threading.Event) -> None:
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    started.set()
    await serving
