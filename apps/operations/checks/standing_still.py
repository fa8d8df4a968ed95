"""How long the message that is next in a queue has been the next one: a queue that moves has another each time."""

import hashlib
import threading
import time
from contextlib import suppress

from redis import Redis
from redis.exceptions import ResponseError

# By queue: since when (Unix seconds of Redis' clock) a message is the next one, and its digest. Every process reads
# what another has seen, so that one that has just begun, the doctor, knows how long a queue has stood still.
KEY = "operations:next-messages"
NOTHING = ("", 0.0)


class Standing:
    """By the looks of all processes: what stood there before the first is not known, so that it is "at least"."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}
        self._ahead_seconds = 0.0  # Redis' clock, less this process' monotonic one
        self._lock = threading.Lock()

    def look(self, client: Redis, queues: list[str]) -> dict[str, int]:
        """Looks at each queue's next message; answers with the queues' lengths. Raises RedisError."""
        reading = client.pipeline(transaction=False)
        reading.time()
        reading.hmget(KEY, queues)
        for queue in queues:
            reading.llen(queue)
            reading.lindex(queue, -1)  # Celery puts on the left and takes from the right
        (seconds, microseconds), told, *answers = reading.execute()
        lengths, nexts = answers[::2], answers[1::2]
        now = seconds + microseconds / 1e6
        with self._lock:
            self._ahead_seconds = now - time.monotonic()
            for queue, message, entry in zip(queues, nexts, told, strict=True):
                self._note(queue, message, entry, now)
        self._tell(client, dict(zip(queues, told, strict=True)))
        return dict(zip(queues, lengths, strict=True))

    def seconds(self, queue: str) -> float:
        seen = self._seen.get(queue)
        return max(time.monotonic() + self._ahead_seconds - seen[1], 0.0) if seen else 0.0

    def _note(self, queue: str, message: str | None, entry: str | None, now: float) -> None:
        """The earliest look at this same message, ours or another process'."""
        if message is None:
            self._seen.pop(queue, None)
            return
        digest = hashlib.sha256(message.encode()).hexdigest()
        earlier = [since for known, since in (self._seen.get(queue, NOTHING), _seen_in(entry)) if known == digest]
        self._seen[queue] = (digest, min([now, *earlier]))

    def _tell(self, client: Redis, told: dict[str, str | None]) -> None:
        """What the other processes do not know yet. A Redis that refuses writes leaves each to its own looks."""
        writing = client.pipeline(transaction=False)
        for queue, entry in told.items():
            seen = self._seen.get(queue)
            if seen is None and entry is not None:
                writing.hdel(KEY, queue)
            elif seen is not None and seen != _seen_in(entry):
                writing.hset(KEY, queue, f"{seen[1]!r} {seen[0]}")
        with suppress(ResponseError):
            writing.execute()


def _seen_in(entry: str | None) -> tuple[str, float]:
    """Digest and time of an entry; an empty digest where there is none."""
    since, _, digest = (entry or "").partition(" ")
    return (digest, float(since)) if digest else NOTHING


STANDING = Standing()
