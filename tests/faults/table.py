"""The table of faults: what was done to the platform, when it said so and how, when it was well again, what was lost.

Each test of a symptom fills one line; pytest prints them all at its end (tests/plugin.py), and stores them where
NAUTILUS_FAULT_TABLE names a file.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

COLUMNS = ("fault", "seen after", "said", "mended after", "lost")
PROPERTY = "fault_line"


class FaultLine:
    """One line. `injected` starts the clock of "seen after", `cured` (or being seen) that of "mended after"."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.said = ""
        self.seen_after: float | None = None
        self.mended_after: float | None = None
        self.lost: int | None = None
        self._since = time.monotonic()

    def injected(self) -> None:
        self._since = time.monotonic()

    def seen(self, said: str) -> None:
        self.said, self.seen_after = said, time.monotonic() - self._since
        self._since = time.monotonic()

    def cured(self) -> None:
        """The cure begins now: what was looked at in between is no part of it."""
        self._since = time.monotonic()

    def mended(self, *, lost: int) -> None:
        self.mended_after, self.lost = time.monotonic() - self._since, lost

    def as_dict(self) -> dict[str, Any]:
        assert self.seen_after is not None, f"{self.fault}: nobody said when it was seen"
        assert self.mended_after is not None, f"{self.fault}: nobody said when it was mended"
        seen, mended = f"{self.seen_after:.1f} s", f"{self.mended_after:.1f} s"
        return dict(zip(COLUMNS, (self.fault, seen, self.said, mended, self.lost), strict=True))


def lines_of(reports: list[Any]) -> list[dict[str, Any]]:
    return [value for report in reports for name, value in report.user_properties if name == PROPERTY]


def print_table(terminal: pytest.TerminalReporter) -> None:
    # The line is whole once the test's fixtures have ended: pytest keeps the reports of these under "".
    lines = lines_of(terminal.stats.get("", []))
    if not lines:
        return
    terminal.section("faults")
    for line in lines:
        terminal.line(" | ".join(str(line[column]) for column in COLUMNS))
    if file := os.environ.get("NAUTILUS_FAULT_TABLE"):
        Path(file).write_text(json.dumps(lines, indent=1) + "\n")
