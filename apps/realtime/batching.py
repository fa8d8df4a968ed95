"""Messages of one socket that go out together: after so many, or so much time, whichever comes first."""

import asyncio
from collections.abc import Callable

# Many clients refuse a frame above 1 MiB.
MAX_BATCH_BYTES = 256 * 1024


class MessageBatcher:
    """Collects ready messages and gives them to `emit` as one frame, with how many they are."""

    def __init__(self, batch_size: int = 100, flush_interval: float = 1.0, *, emit: Callable[[str, int], None]) -> None:
        """`flush_interval` in seconds, from the first message that waits."""
        self.batch_size = batch_size
        self.flush_interval = flush_interval
        self._emit = emit
        self._texts: list[str] = []
        self._length = 0
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None

    def put(self, text: str) -> None:
        if self._is_closed:
            return
        if self._length + len(text) > MAX_BATCH_BYTES:
            self.flush()
        self._texts.append(text)
        self._length += len(text)
        if len(self._texts) >= self.batch_size:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.flush_interval, self.flush)

    def flush(self) -> None:
        self._stop_timer()
        if self._texts:
            texts, self._texts, self._length = self._texts, [], 0
            self._emit(f'{{"type":"batch","messages":[{",".join(texts)}]}}', len(texts))

    def close(self) -> None:
        """What waits is given up, and nothing more is taken: the client is not there any more."""
        self._stop_timer()
        self._texts.clear()
        self._is_closed = True

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
