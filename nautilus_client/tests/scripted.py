"""A server that does to each connection what its script says, as no real one does on demand: breaks, gaps, refusals."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

PATIENCE_SECONDS = 10.0


class Peer:
    """One connection, seen from the server."""

    def __init__(self, connection: ServerConnection) -> None:
        self.path = connection.request.path
        self.authorization = connection.request.headers.get("Authorization")
        self._connection = connection

    def hear(self) -> dict[str, Any]:
        return json.loads(self._connection.recv(timeout=PATIENCE_SECONDS))

    def hear_of(self, kind: str) -> dict[str, Any]:
        while (frame := self.hear())["type"] != kind:
            pass
        return frame

    def say(self, **frame: Any) -> None:
        self._connection.send(json.dumps(frame))

    def accept(self, seq: int = 0, epoch: str = "e1", *, recovered: bool = True) -> dict[str, Any]:
        """Hears a subscription, answers it, and gives back what was asked."""
        asked = self.hear_of("subscribe")
        self.say(type="subscribed", topic=asked["topic"], seq=seq, epoch=epoch, recovered=recovered, id=asked.pop("id"))
        return asked

    def refuse(self, code: str) -> None:
        self.say(type="error", code=code, detail=f"{code} for this test", id=self.hear_of("subscribe")["id"])

    def publish(self, *seqs: int, topic: str = "news", epoch: str = "e1", data: Any = None) -> None:
        for seq in seqs:
            self.say(**message(seq, topic, epoch, data))

    def send(self, text: str) -> None:
        self._connection.send(text)

    def close(self, code: int) -> None:
        self._connection.close(code, "for this test")

    def break_off(self) -> None:
        self._connection.socket.close()

    def stay(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                self._connection.recv()


def message(seq: int, topic: str = "news", epoch: str = "e1", data: Any = None) -> dict[str, Any]:
    told = {"topic": topic, "seq": seq, "epoch": epoch, "timestamp": "2026-01-02T03:04:05.678Z"}
    return {"type": "message", **told, "data": data}


Script = Callable[[Peer], None]


class ScriptedServer:
    def __init__(self, *scripts: Script, port: int = 0, refuse_with: HTTPStatus | None = None) -> None:
        """Each connection follows the next script; one more than there are scripts is a failure of the test."""
        self.connections = 0
        self.failures: list[BaseException] = []
        self._scripts = list(scripts)
        self._refuse_with = refuse_with
        self._server = serve(self._handle, "127.0.0.1", port, process_request=self._answer_request)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()

    def _answer_request(self, connection: ServerConnection, _: Any) -> Any:
        return connection.respond(self._refuse_with, "refused") if self._refuse_with else None

    def _handle(self, connection: ServerConnection) -> None:
        self.connections += 1
        try:
            self._scripts.pop(0)(Peer(connection))
        except ConnectionClosed:
            pass
        except BaseException as failure:  # shown by the fixture, in the test's own thread
            self.failures.append(failure)
