"""What every contender of benchmarks/sockets.py sends: texts of one length, so that bytes count messages."""

import time

TOPIC = "bench"
EPOCH = "0123456789abcdef"
FIRST_SEQ = 1_000_000  # where the topic stands before the first message: seven digits for the whole run
_MARK = b'"at":"'
_DIGITS = 19


def data_sent_now(data_bytes: int) -> dict[str, str]:
    """Data of so many bytes as JSON, with the moment it was made: nanoseconds of the clock all processes share."""
    at = f"{time.monotonic_ns():0{_DIGITS}d}"
    return {"at": at, "pad": "x" * (data_bytes - len(f'{{"at":"{at}","pad":""}}'))}


def text_with(data: dict[str, str], seq: int = FIRST_SEQ) -> str:
    """The text that the platform's sockets send, for those that do not make it themselves."""
    inner = f'{{"at":"{data["at"]}","pad":"{data["pad"]}"}}'
    said = '"timestamp":"2026-01-01T00:00:00.000Z"'
    return f'{{"type":"message","topic":"{TOPIC}","seq":{seq},"epoch":"{EPOCH}",{said},"data":{inner}}}'


def frame_bytes(data_bytes: int) -> int:
    """Bytes of a message's frame: its text behind a header of two bytes, or four from 126 bytes on."""
    length = len(text_with(data_sent_now(data_bytes)))
    return length + (2 if length < 126 else 4)


def sent_at_ns(text: bytes) -> int:
    start = text.index(_MARK) + len(_MARK)
    return int(text[start : start + _DIGITS])
