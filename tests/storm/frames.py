"""WebSocket frames by hand (RFC 6455, section 5.2): also those that no client library would send."""

import base64
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
ANSWER_SECONDS = 10.0


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else 1005


def encode(
    payload: bytes,
    opcode: int = TEXT,
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    says: int | None = None,
) -> bytes:
    """`says` is the length in the header, where it is not the payload's."""
    length = len(payload) if says is None else says
    first = (fin << 7) | (reserved << 4) | opcode
    if length < 126:
        header = struct.pack("!BB", first, (masked << 7) | length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", first, (masked << 7) | 126, length)
    else:
        header = struct.pack("!BBQ", first, (masked << 7) | 127, length)
    # A mask of zeros leaves the payload as it is, and RFC 6455 does not forbid it.
    return header + (bytes(4) if masked else b"") + payload


class FrameReader:
    """Takes bytes as they come, gives whole frames; the server fragments nothing."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._bytes += data
        while (found := self._payload_of_first()) is not None:
            start, end = found
            yield Frame(self._bytes[0] & 0x0F, bytes(self._bytes[start:end]))
            del self._bytes[:end]

    def _payload_of_first(self) -> tuple[int, int] | None:
        """Where it begins and ends; None while it is not all there."""
        if len(self._bytes) < 2:
            return None
        length, start = self._bytes[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(self._bytes[2:start], "big") if len(self._bytes) >= start else start
        return (start, start + length) if len(self._bytes) >= start + length else None


def handshake(port: int, path: str | bytes) -> bytes:
    """What asks for a socket at the path, which goes out as it is."""
    raw = path.encode("latin-1") if isinstance(path, str) else path
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    rest = "\r\n".join([*lines, f"Sec-WebSocket-Key: {key}", "", ""])
    return b"GET " + raw + b" HTTP/1.1\r\n" + rest.encode()


class RawSocket:
    """One blocking socket of a client that reads and writes only when it is told to."""

    def __init__(self, port: int, path: str | bytes = "/ws", receive_buffer: int | None = None) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(ANSWER_SECONDS)
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(handshake(port, path))
        self._reader = FrameReader()
        self.status, rest = self._response()
        self._frames = list(self._reader.feed(rest))

    def __enter__(self) -> "RawSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _response(self) -> tuple[int, bytes]:
        got = b""
        while b"\r\n\r\n" not in got:
            more = self._socket.recv(65536)
            if not more:
                return (int(got.split(b" ")[1]) if got else 0), b""
            got += more
        head, _, rest = got.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), rest

    def send_bytes(self, data: bytes) -> None:
        """As they are. A server that has hung up already says so by what it answers."""
        with suppress(OSError):
            self._socket.sendall(data)

    def say(self, **request: Any) -> None:
        self.send_bytes(encode(json.dumps(request).encode()))

    def frame(self) -> Frame | None:
        """The next text or closing frame; None where the connection has ended without one."""
        while True:
            for frame in iter(lambda: self._frames.pop(0) if self._frames else None, None):
                if frame.opcode in (TEXT, CLOSE):
                    return frame
                if frame.opcode == PING:
                    self.send_bytes(encode(frame.payload, PONG))
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._frames += self._reader.feed(data)

    def hear(self) -> dict[str, Any]:
        frame = self.frame()
        assert frame is not None, "The connection ended where an answer was due"
        assert frame.opcode == TEXT, f"The socket was closed with {frame.close_code}: {frame.payload[2:]!r}"
        return json.loads(frame.payload)

    def ask(self, **request: Any) -> dict[str, Any]:
        self.say(**request)
        return self.hear()

    def answers_until_pong(self, mark: str) -> list[dict[str, Any]]:
        """Everything up to the pong of a ping that is sent now."""
        self.say(type="ping", id=mark)
        heard = []
        while (answer := self.hear()).get("id") != mark or answer["type"] != "pong":
            heard.append(answer)
        return heard

    def rest(self) -> list[Frame]:
        """All there is until the connection ends or is closed."""
        heard: list[Frame] = []
        while not (heard and heard[-1].opcode == CLOSE) and (frame := self.frame()):
            heard.append(frame)
        return heard

    def messages_until_the_end(self) -> list[dict[str, Any]]:
        """What came before the closing frame, or before the connection was reset."""
        return [json.loads(frame.payload) for frame in self.rest() if frame.opcode == TEXT]

    def close_code(self) -> int | None:
        """Reads to the end; None for one without a closing frame."""
        heard = self.rest()
        return heard[-1].close_code if heard and heard[-1].opcode == CLOSE else None

    def hang_up(self) -> None:
        """Says nothing more, and listens still."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
