"""Medians over rounds, ratios of medians, and where they were measured."""

import json
import os
import platform
import statistics
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    *("arch", "celery", "channels", "django", "djangorestframework", "numpy", "psycopg", "redis", "riskfolio-lib"),
    *("scipy", "uvicorn", "empyrical-reloaded", "quantstats"),
)


@dataclass(slots=True)
class Series:
    """The rounds of one contender; a round's figure is its own median, the series' is the median of those."""

    name: str
    rounds: list[list[float]] = field(default_factory=list)

    def add_round(self, times: list[float]) -> None:
        self.rounds.append(times)

    @property
    def p50(self) -> float:
        return statistics.median(self.medians)

    @property
    def medians(self) -> list[float]:
        return [statistics.median(times) for times in self.rounds]

    def figures(self) -> dict[str, Any]:
        everything = sorted(time for times in self.rounds for time in times)
        return {"p50": self.p50, "p95": everything[int(0.95 * (len(everything) - 1))], "medians": self.medians}


def measured(call: Callable[[], Any], calls: int) -> list[float]:
    """Seconds of each call."""
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times


def interleaved(callers: Mapping[str, Callable[[], Any]], rounds: int, calls: int, unit: float) -> dict[str, Series]:
    """Rounds of each caller in turn, after a warm-up; `unit` is that of the figures, in seconds."""
    series = {name: Series(name) for name in callers}
    for call in callers.values():
        measured(call, max(1, calls // 4))
    for _ in range(rounds):
        for name, call in callers.items():
            series[name].add_round([seconds / unit for seconds in measured(call, calls)])
    return series


def traced_peak_bytes(call: Callable[[], Any]) -> int:
    """The most memory that the call holds at once beside what was there before; numpy's arrays are counted."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def ratio(ours: Series, peer: Series) -> float:
    """The median over rounds of ours to the peer's in the same round: what slows both cancels out."""
    return statistics.median(mine / theirs for mine, theirs in zip(ours.medians, peer.medians, strict=True))


def spread(figures: dict[str, Any]) -> str:
    return f"{min(figures['medians']):.2f} to {max(figures['medians']):.2f}"


def keep(name: str, answer: dict[str, Any]) -> Path:
    """Writes the figures with where they come from; the file's name stays, so that git has its history."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**answer, "measured": _circumstances()}, indent=2) + "\n")
    return path


def _circumstances() -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() or None,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }
