"""How long messages took from their publisher to the sockets: counts in buckets of 5 %, which processes can add up."""

import math
from collections import Counter
from collections.abc import Mapping

# Each bucket ends 5 % above the one before; the first ends at 0.01 ms.
_GROWTH = math.log(1.05)
_FIRST_MS = 0.01
_LAST_BUCKET = 400  # 3,000 s


class Latencies:
    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: Counter[int] = Counter(counts)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> "Latencies":
        """What `counts` gave, also after a way through JSON."""
        return cls({int(bucket): int(count) for bucket, count in counts.items()})

    def add(self, milliseconds: float) -> None:
        """A clock that runs behind the publisher's gives less than nothing; that counts as nothing."""
        bucket = 0 if milliseconds <= _FIRST_MS else math.ceil(math.log(milliseconds / _FIRST_MS) / _GROWTH)
        self._counts[min(bucket, _LAST_BUCKET)] += 1

    def merge(self, other: "Latencies") -> None:
        self._counts.update(other._counts)

    def counts(self) -> dict[str, int]:
        return {str(bucket): count for bucket, count in sorted(self._counts.items())}

    def percentile(self, percent: float) -> float | None:
        """Milliseconds that so many per cent of the messages took at most, to 5 %; None where there was no message."""
        rank = math.ceil(self._counts.total() * percent / 100)
        seen = 0
        for bucket, count in sorted(self._counts.items()):
            seen += count
            if seen >= rank:
                return round(_FIRST_MS * math.exp(bucket * _GROWTH), 3)
        return None
