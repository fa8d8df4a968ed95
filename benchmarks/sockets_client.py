"""Hundreds of sockets for the price of a few: no library, and a frame is looked into only where it matters.

To count, the client looks at all sockets every few milliseconds and adds up bytes, as all frames are equally long: a
client that woke for each frame would be the slowest part. For latencies it waits for each frame and stamps it, and
takes frames apart when nothing waits to be read.
"""

import contextlib
import select
import socket
import time
from multiprocessing.synchronize import Semaphore
from typing import Any

from benchmarks.sockets_messages import sent_at_ns

POLL_SECONDS = 0.004
PATIENCE_SECONDS = 30.0
HANDSHAKES_AT_ONCE = 50
NETWORK_SEGMENT_BYTES = 1400
_HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_PING_BYTE = bytes([0x80 | _PING])


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame under a mask of zeros, which leaves the payload as it is; below 126 bytes."""
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


class Frames:
    """Takes the bytes of one socket apart into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """(opcode, payload) of the frames that end in the chunk."""
        data, place, found = self._rest + chunk, 0, []
        while (end := _end_of_frame(data, place)) is not None:
            start, place = end[0], end[1]
            found.append((end[2], data[start:place]))
        self._rest = data[place:]
        return found


def _end_of_frame(data: bytes, place: int) -> tuple[int, int, int] | None:
    """Where the payload of the frame at `place` begins and ends, and its opcode; None where it is not whole."""
    if len(data) < place + 2:
        return None
    length, start = data[place + 1], place + 2
    if length >= 126:
        start += 2 if length == 126 else 8
        length = int.from_bytes(data[place + 2 : start], "big")
    whole = len(data) >= start + length
    return (start, start + length, data[place] & 0x0F) if whole else None


class Client:
    def __init__(self, credits: Semaphore) -> None:
        """`credits` is released once for each message that all sockets have: the publisher waits for it."""
        self._credits = credits
        self._sockets: list[socket.socket] = []
        self._stalled: list[socket.socket] = []
        self._bytes = bytearray(2**20)
        self._buffer = memoryview(self._bytes)

    def open(self, port: int, count: int, hello: str | None) -> None:
        """So many sockets; those that say `hello` wait for its answer."""
        for start in range(0, count, HANDSHAKES_AT_ONCE):
            self._sockets += _opened(port, min(HANDSHAKES_AT_ONCE, count - start), hello)

    def stall(self, port: int, count: int, hello: str | None) -> None:
        """Sockets that never read again, with little room between the server and them."""
        self._stalled = _opened(port, count, hello, is_narrow=True)

    def close(self) -> None:
        for one in self._sockets + self._stalled:
            one.close()
        self._sockets, self._stalled = [], []

    # --- Counting -------------------------------------------------------------------------------------
    def count(self, messages: int, frame_bytes: int, order: str | None = None) -> tuple[int, int]:
        """Monotonic ns of the start and of the last socket's last message. `order` is said by one socket first."""
        begun = time.monotonic_ns()
        if order:
            self._sockets[0].sendall(masked(_TEXT, order.encode()))
        received = [0] * len(self._sockets)
        complete, last_news = 0, time.monotonic()
        while complete < messages:
            time.sleep(POLL_SECONDS)
            news = self._read_all(received)
            last_news = time.monotonic() if news else last_news
            self._refuse_silence(last_news, received, messages * frame_bytes)
            complete = self._release(complete, min(received) // frame_bytes)
        ended = time.monotonic_ns()
        if max(received) >= (messages + 1) * frame_bytes:  # a few more may be a ping's
            raise RuntimeError(f"A socket got {max(received)} bytes; expected {messages} frames of {frame_bytes}")
        return begun, ended

    def _read_all(self, received: list[int]) -> int:
        total = 0
        for place, one in enumerate(self._sockets):
            with contextlib.suppress(BlockingIOError):
                got = one.recv_into(self._buffer)
                _refuse_end(got)
                received[place] += got - self._answer_ping(one, got)
                total += got
        return total

    def _answer_ping(self, one: socket.socket, got: int) -> int:
        """Bytes of the ping in what was just read; the texts are ASCII and so cannot look like one."""
        place = self._bytes.find(_PING_BYTE, 0, got)
        if place < 0:
            return 0
        length = self._bytes[place + 1]
        one.send(masked(_PONG, bytes(self._bytes[place + 2 : place + 2 + length])))
        return 2 + length

    def _release(self, before: int, complete: int) -> int:
        for _ in range(complete - before):
            self._credits.release()
        return complete

    def _refuse_silence(self, last_news: float, received: list[int], expected: int) -> None:
        if time.monotonic() - last_news > PATIENCE_SECONDS:
            raise TimeoutError(
                f"Nothing came for {PATIENCE_SECONDS:g} s: {min(received)} of {expected} bytes are there"
            )

    # --- Latencies ------------------------------------------------------------------------------------
    def listen(self, messages: int, seconds: float) -> dict[str, Any]:
        """Milliseconds from publishing to receipt of so many messages on all sockets, or those of so many seconds."""
        listening = _Listening(self._sockets)
        deadline = time.monotonic() + seconds
        while len(listening.lags_ns) < messages * len(self._sockets) and time.monotonic() < deadline:
            listening.step(self._buffer)
        missing = messages * len(self._sockets) - len(listening.lags_ns)
        return {**_quantiles_ms(sorted(listening.lags_ns)), "missing": missing, "closed": listening.closed}

    # --- Who stalled ----------------------------------------------------------------------------------
    def read_on(self) -> list[dict[str, Any]]:
        """What the stalled sockets find when they read at last: messages, and how it ended."""
        reading = _ReadingOn(self._stalled)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while reading.is_open() and time.monotonic() < deadline:
            reading.step(self._buffer)
        self._stalled = []
        return reading.ends()


class _ReadingOn:
    """Readers that had stopped, until each is closed."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._by_fd = {one.fileno(): (one, Frames()) for one in sockets}
        self._ends: dict[int, dict[str, Any]] = {
            fd: {"messages": 0, "close_code": None, "end": "still open"} for fd in self._by_fd
        }
        self._epoll = select.epoll()
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**18)
            self._epoll.register(one.fileno(), select.EPOLLIN)

    def is_open(self) -> bool:
        return any(end["end"] == "still open" for end in self._ends.values())

    def ends(self) -> list[dict[str, Any]]:
        for one, _ in self._by_fd.values():
            one.close()
        return list(self._ends.values())

    def step(self, buffer: memoryview) -> None:
        for fd, _ in self._epoll.poll(1):
            one, frames = self._by_fd[fd]
            try:
                got = one.recv_into(buffer)
            except ConnectionError:
                self._end(fd, "reset")
            else:
                self._note(fd, frames.feed(bytes(buffer[:got])), is_last=not got)

    def _note(self, fd: int, found: list[tuple[int, bytes]], is_last: bool) -> None:
        end = self._ends[fd]
        end["messages"] += sum(opcode == _TEXT for opcode, _ in found)
        codes = [int.from_bytes(said[:2], "big") for opcode, said in found if opcode == _CLOSE]
        if codes or is_last:
            end["close_code"] = codes[0] if codes else None
            self._end(fd, "closed" if codes else "ended without a close frame")

    def _end(self, fd: int, how: str) -> None:
        self._ends[fd]["end"] = how
        self._epoll.unregister(fd)


class _Listening:
    def __init__(self, sockets: list[socket.socket]) -> None:
        self._by_fd = {one.fileno(): (one, Frames()) for one in sockets}
        self._epoll = select.epoll()
        for fd in self._by_fd:
            self._epoll.register(fd, select.EPOLLIN)
        self._stamped: list[tuple[int, int, bytes]] = []
        self.lags_ns: list[int] = []
        self.closed = 0

    def step(self, buffer: memoryview) -> None:
        events = self._epoll.poll(0.003)
        for fd, _ in events:
            got = self._by_fd[fd][0].recv_into(buffer)
            self._stamped.append((fd, time.monotonic_ns(), bytes(buffer[:got])))
            if not got:
                self._forget(fd)
        if not events:
            self._take_apart()

    def _forget(self, fd: int) -> None:
        self._epoll.unregister(fd)
        self.closed += 1

    def _take_apart(self) -> None:
        for fd, at_ns, chunk in self._stamped:
            one, frames = self._by_fd[fd]
            for opcode, payload in frames.feed(chunk):
                if opcode == _TEXT:
                    self.lags_ns.append(at_ns - sent_at_ns(payload))
                elif opcode == _PING:
                    one.send(masked(_PONG, payload))
        self._stamped = []


def _quantiles_ms(lags_ns: list[int]) -> dict[str, float]:
    if not lags_ns:
        return {}
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: lags_ns[int(part * (len(lags_ns) - 1))] / 1e6 for name, part in places.items()}


def _opened(port: int, count: int, hello: str | None, is_narrow: bool = False) -> list[socket.socket]:
    sockets = [_connected(port, is_narrow) for _ in range(count)]
    for one in sockets:
        _accepted(one)
        if hello:
            one.sendall(masked(_TEXT, hello.encode()))
    for one in sockets:
        if hello:
            _answered(one)
        one.setblocking(False)
    return sockets


def _connected(port: int, is_narrow: bool) -> socket.socket:
    one = socket.socket()
    if is_narrow:
        # The kernel would hold 2.5 MB for a reader over loopback, as it takes segments of 64 KB to be the measure.
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, NETWORK_SEGMENT_BYTES)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.settimeout(PATIENCE_SECONDS)
    one.connect(("127.0.0.1", port))
    one.sendall(_HANDSHAKE.format(port=port).encode())
    return one


def _accepted(one: socket.socket) -> None:
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += _some(one, 1)
    if b" 101 " not in answer.partition(b"\r\n")[0]:
        raise RuntimeError(f"The handshake was answered with {answer[:80]!r}; expected 101")


def _answered(one: socket.socket) -> None:
    frames = Frames()
    found: list[tuple[int, bytes]] = []
    while not found:
        found = frames.feed(_some(one, 4096))
    if b'"subscribed"' not in found[0][1]:
        raise RuntimeError(f"The subscription was answered with {found[0][1][:200]!r}; expected 'subscribed'")


def _refuse_end(got: int) -> None:
    if not got:
        raise ConnectionError("The server closed a socket; its log on stderr may say why")


def _some(one: socket.socket, most: int) -> bytes:
    chunk = one.recv(most)
    if not chunk:
        raise ConnectionError("The server closed the socket in the handshake")
    return chunk
