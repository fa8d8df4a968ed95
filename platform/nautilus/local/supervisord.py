"""supervisord, which goes on where its own log cannot be written: a full disk must not end all that it looks after.

What it cannot write into a process' log it tells on stderr, which is a file of the same disk (supervisor 4.3.0): the
error that followed ended it, and with it the platform.
"""

import sys
from contextlib import suppress
from typing import Any

from supervisor import supervisord


class WrittenOrNot:
    """A stream that drops what cannot be written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


if __name__ == "__main__":
    sys.stdout, sys.stderr = WrittenOrNot(sys.stdout), WrittenOrNot(sys.stderr)
    supervisord.main()
