"""How long the message that is next in a queue has been the next one: a queue that moves has another each time."""

import hashlib
import threading
import time

from redis import Redis


class Standing:
    """By the looks of this process: what stood there before the first look is not known, so that it is "at least"."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    def look(self, client: Redis, queues: list[str]) -> dict[str, int]:
        """Looks at each queue's next message; answers with the queues' lengths. Raises RedisError."""
        reading = client.pipeline(transaction=False)
        for queue in queues:
            reading.llen(queue)
            reading.lindex(queue, -1)  # Celery puts on the left and takes from the right
        answers = reading.execute()
        lengths, nexts = answers[::2], answers[1::2]
        for queue, message in zip(queues, nexts, strict=True):
            self._note(queue, message)
        return dict(zip(queues, lengths, strict=True))

    def seconds(self, queue: str) -> float:
        seen = self._seen.get(queue)
        return time.monotonic() - seen[1] if seen else 0.0

    def _note(self, queue: str, message: str | None) -> None:
        digest = hashlib.sha256((message or "").encode()).digest()
        with self._lock:
            if message is None:
                self._seen.pop(queue, None)
            elif queue not in self._seen or self._seen[queue][0] != digest:
                self._seen[queue] = (digest, time.monotonic())


STANDING = Standing()
