"""What goes through the two pipes of a sandbox: a head (header's length, payload's length), JSON, raw bytes."""

import json
import os
import struct
from typing import Any, NamedTuple

HEAD = struct.Struct("!IQ")


class Frame(NamedTuple):
    """`header` always has a `kind`; `payload` is raw: float64 rows, a filter's program."""

    header: dict[str, Any]
    payload: bytes = b""


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """The bytes of a frame. A lone surrogate, which UTF-8 cannot say, goes as a question mark."""
    text = json.dumps(header, ensure_ascii=False).encode("utf-8", "replace")
    return HEAD.pack(len(text), len(payload)) + text + payload


def unpack(text: bytes, payload: bytes) -> Frame:
    """Raises ValueError or RecursionError for what is no JSON object with a `kind`: a sandbox may send anything."""
    header = json.loads(text)
    if not isinstance(header, dict) or not isinstance(header.get("kind"), str):
        raise ValueError("a frame's header is a JSON object with a kind")  # noqa: TRY004  one error for all bad bytes
    return Frame(header, payload)


def read_frame(fd: int) -> Frame:
    """Waits for the next frame. Raises EOFError where the other side has closed the pipe."""
    header_bytes, payload_bytes = HEAD.unpack(_read(fd, HEAD.size))
    return unpack(_read(fd, header_bytes), _read(fd, payload_bytes))


def write_frame(fd: int, header: dict[str, Any], payload: bytes = b"") -> None:
    left = memoryview(pack(header, payload))
    while left:
        left = left[os.write(fd, left) :]


def _read(fd: int, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        part = os.read(fd, min(count - len(got), 1 << 20))
        if not part:
            raise EOFError
        got += part
    return bytes(got)
