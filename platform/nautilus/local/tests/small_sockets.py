"""The API's shapes once more, with sockets: an ASGI application under uvicorn, one portfolio, jobs that end at once."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from nautilus.local.tests.small_platform import METRICS, RISK_RESULT
from nautilus.local.tests.small_strategies import SmallStrategies

PORTFOLIO = {"id": "PORTFOLIO_001", "cash": 6_833.52, "inception_date": "2015-01-02", "as_of": "2022-12-28"}


class SocketApi:
    def __init__(self, breaks: int = 0, loses: str = "", shortens: str = "") -> None:
        """`breaks`: so many sockets end before a task does; the other two name a task with something missing."""
        self.address = ""
        self.asked: list[str] = []  # the ids of tasks and deployments that were asked for
        self._strategies = SmallStrategies()
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
            return self._take(scope["path"], json.loads((await receive())["body"]))
        if scope["path"] == "/api/v1/portfolios":
            return 200, {"results": [PORTFOLIO], "next": None}
        if "DEPLOY_" in scope["path"]:
            self.asked.append(scope["path"].rsplit("/", 1)[1])
        if found := self._strategies.get(scope["path"], parse_qs(scope["query_string"].decode())):
            return found
        self.asked.append(scope["path"].rsplit("/", 1)[1])
        return 200, task(self.asked[-1], "succeeded")

    def _take(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("/strategy/deploy"):
            return self._strategies.deploy(body)
        kind = "risk" if path.endswith("/risk/analyze") else "performance"
        return 202, task(f"{kind}-{body['portfolio_id']}", "processing")

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
        kind, _, name = asked["topic"].partition(":")
        is_lost = name == self._loses
        states = [] if is_lost else self._task_states(name) if kind == "tasks" else self._deployment_states(name)
        told = {"topic": asked["topic"], "seq": len(states), "epoch": "e1"}
        yield {"type": "subscribed", **told, "recovered": not is_lost, "id": asked["id"]}
        for seq, data in enumerate(states, 1):
            if seq > asked.get("since", 0):
                yield {"type": "message", **told, "seq": seq, "timestamp": "", "data": data}

    def _task_states(self, task_id: str) -> list[dict[str, Any]]:
        ended = task(task_id, "succeeded")
        if task_id == self._shortens:
            ended |= {"result": None, "result_url": f"/api/v1/tasks/{task_id}"}
        return [task(task_id, "processing"), *([] if self._breaks else [ended])]

    def _deployment_states(self, deployment_id: str) -> list[dict[str, Any]]:
        """On its way, until it is active; the news of an order is none of its state."""
        states = [self._strategies.state(deployment_id) for _ in range(4)]
        return [{"event": "deployment.order", "deployment_id": deployment_id}, *states]


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
