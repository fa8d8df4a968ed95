"""How an engine does, over its last minute; each engine writes its own once a second for whoever asks."""

import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from redis import Redis

STATISTICS_KEY = "streaming:statistics"  # hash: engine -> JSON, `at_us` of Redis's clock
KEPT_SECONDS = 60
WINDOW_SECONDS = 60
RATE_SECONDS = 10

# Lags are counted in classes 5 % apart, from a tenth of a millisecond on: sums of engines are as good as their own.
_STEP, _SMALLEST_MS, _CLASSES = 1.05, 0.1, 320


@dataclass(slots=True)
class _Second:
    number: int
    updates: int = 0
    lags: dict[int, int] = field(default_factory=dict)
    steps_ms: list[float] = field(default_factory=list)


class Statistics:
    """Counts by second, by a clock that never goes back."""

    def __init__(self) -> None:
        self.started_us = int(time.time() * 1e6)
        self.updates = 0
        self.fenced = 0
        self.last_update_us: int | None = None
        self._begun = time.monotonic()
        self._seconds: deque[_Second] = deque(maxlen=WINDOW_SECONDS)

    def count_updates(self, number: int, at_us: int) -> None:
        self.updates += number
        self.last_update_us = at_us
        self._now().updates += number

    def count_lags(self, lags_us: np.ndarray) -> None:
        """From the moment that a quote was received to that at which the last book that holds it was published."""
        counted = self._now().lags
        for one, number in zip(*np.unique(_classes(lags_us / 1e3), return_counts=True), strict=True):
            counted[int(one)] = counted.get(int(one), 0) + int(number)

    def count_step(self, milliseconds: float) -> None:
        self._now().steps_ms.append(milliseconds)

    def summary(self) -> dict[str, Any]:
        self._now()
        steps = [each for second in self._seconds for each in second.steps_ms]
        lags: dict[int, int] = {}
        for second in self._seconds:
            for one, number in second.lags.items():
                lags[one] = lags.get(one, 0) + number
        return {
            "started_us": self.started_us,
            "updates": self.updates,
            "updates_per_second": self._rate(),
            "last_update_us": self.last_update_us,
            "fenced": self.fenced,
            "lags": lags,
            "step_ms": {
                "p50": float(np.percentile(steps, 50)) if steps else None,
                "p99": float(np.percentile(steps, 99)) if steps else None,
            },
        }

    def _rate(self) -> float:
        """Updates a second over the last whole ones."""
        now = self._seconds[-1].number
        whole = [second.updates for second in self._seconds if now - RATE_SECONDS <= second.number < now]
        return sum(whole) / max(1, min(RATE_SECONDS, int(time.monotonic() - self._begun)))

    def _now(self) -> _Second:
        number = int(time.monotonic())
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(_Second(number))
        while self._seconds[0].number <= number - WINDOW_SECONDS:
            self._seconds.popleft()
        return self._seconds[-1]


def _classes(milliseconds: np.ndarray) -> np.ndarray:
    places = np.log(np.maximum(milliseconds, _SMALLEST_MS) / _SMALLEST_MS) / np.log(_STEP)
    return np.minimum(places.astype(np.intp), _CLASSES - 1)


def percentile_ms(lags: Iterable[Mapping[str, int]], percent: float) -> float | None:
    """Of the lags of several engines, to 2.5 %; None where nothing was counted."""
    counts = np.zeros(_CLASSES, np.int64)
    for each in lags:
        for one, number in each.items():
            counts[int(one)] += number
    if not counts.any():
        return None
    place = int(np.searchsorted(np.cumsum(counts), percent / 100 * counts.sum()))
    return round(_SMALLEST_MS * _STEP ** (place + 0.5), 2)


def write_statistics(engine_id: str, statistics: Mapping[str, Any], client: Redis) -> None:
    """Raises RedisError."""
    pipeline = client.pipeline(transaction=False)
    pipeline.hset(STATISTICS_KEY, engine_id, json.dumps(statistics, allow_nan=False))
    pipeline.expire(STATISTICS_KEY, KEPT_SECONDS)
    pipeline.execute()


def forget_statistics(engine_id: str, client: Redis) -> None:
    client.hdel(STATISTICS_KEY, engine_id)


def read_statistics(client: Redis) -> tuple[int, dict[str, dict[str, Any]]]:
    """Now by Redis's clock in microseconds, and the statistics by engine. Raises RedisError."""
    pipeline = client.pipeline(transaction=False)
    pipeline.time()
    pipeline.hgetall(STATISTICS_KEY)
    (second, microsecond), written = pipeline.execute()
    return second * 1_000_000 + microsecond, {engine: json.loads(text) for engine, text in written.items()}
