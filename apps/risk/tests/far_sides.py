"""Real far sides for alerts, on this machine: a web server that answers as it is told, a mail server."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep
from typing import Any

from aiosmtpd.controller import Controller


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: `seconds` late."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    path: str
    headers: Any
    body: bytes


class Sink:
    """Keeps what it hears; says what is in `answers`, the last of them for ever."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.heard: list[Heard] = []
        self.answers = [Said()]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}/hook"

    def _handler(sink) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.heard.append(Heard(self.path, self.headers, body))
                said = sink.answers[0] if len(sink.answers) == 1 else sink.answers.pop(0)
                sleep(said.seconds)
                with suppress(OSError):  # who asked did not wait
                    self._say(said)

            def _say(self, said: Said) -> None:
                self.send_response(said.status)
                for name, value in {"Content-Length": str(len(said.body)), **said.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said.body)

            def log_message(self, *args: Any) -> None:
                """Not into the tests' output."""

        return Handler

    def start(self) -> None:
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def open_again(self) -> None:
        """At the same address, after `stop`."""
        self._server = ThreadingHTTPServer(("127.0.0.1", int(self.host.split(":")[1])), self._handler())
        self.start()


@contextmanager
def running_sink(tls: ssl.SSLContext | None = None) -> Iterator[Sink]:
    sink = Sink(tls)
    sink.start()
    yield sink
    sink.stop()


class Mailbox:
    """What a mail server got; `refusals` are its answers to RCPT by address, `reply` that to the message."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refusals: dict[str, str] = {}
        self.reply = "250 2.0.0 queued as 4711"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.reply.startswith("250"):
            self.messages.append(message_from_bytes(envelope.content, policy=default))
        return self.reply


@contextmanager
def running_mail_server() -> Iterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=_free_port())
    controller.start()
    yield mailbox, controller.port
    controller.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
