"""What a strategy prints, kept for the log of its step, up to a length."""

import io
import sys
import warnings
from typing import Any

PRINTED_CHARACTERS = 10_000


class Printed(io.TextIOBase):
    """A text stream that keeps the first characters and counts the others."""

    def __init__(self, most: int = PRINTED_CHARACTERS) -> None:
        self._most = most
        self._parts: list[str] = []
        self._kept = self._dropped = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        kept = text[: self._most - self._kept]
        if kept:
            self._parts.append(kept)
        self._kept += len(kept)
        self._dropped += len(text) - len(kept)
        return len(text)

    def take(self) -> str:
        """What was printed since the last time."""
        text = "".join(self._parts)
        if self._dropped:
            text += f"\n… {self._dropped:,} more characters were printed"
        self._parts, self._kept, self._dropped = [], 0, 0
        return text

    def take_over(self) -> None:
        """Output, warnings and errors in destructors go here: Python would open files to show their lines."""
        sys.stdout = sys.stderr = self
        warnings.showwarning = self._show_warning
        sys.unraisablehook = self._show_unraisable

    def _show_warning(self, message: Warning | str, category: type[Warning], *others: Any, **more: Any) -> None:
        self.write(f"{category.__name__}: {message}\n")

    def _show_unraisable(self, unraisable: Any) -> None:
        self.write(f"{unraisable.exc_type.__name__}: {unraisable.exc_value}\n")
