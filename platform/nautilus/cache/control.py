"""What operators see and do: the mode, the statistics, clearing."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings

from nautilus.cache.keys import (
    GENERATION_KEY,
    MODE_KEY,
    PREFIXES,
    SIZES_KEY,
    STATISTICS_KEY,
    check_prefix,
    is_entry,
)
from nautilus.cache.results import DEFAULT_TTL_SECONDS
from nautilus.cache.store import redis_of_answers, script

SCANNED_AT_ONCE = 1_000
COUNTED = ("hits", "misses", "waits", "stale", "errors", "unavailable")


def enable_aggressive_mode(seconds: int) -> None:
    """Answers live longer and are given while they are computed anew; ends by itself."""
    redis_of_answers().set(MODE_KEY, settings.CACHE_AGGRESSIVE_FACTOR, ex=seconds)


def disable_aggressive_mode() -> None:
    redis_of_answers().delete(MODE_KEY)


def clear(prefixes: Iterable[str] = PREFIXES) -> int:
    """Unlinks the answers under the prefixes and returns how many; what is being computed now will not be kept.

    Raises UnknownPrefixError.
    """
    patterns = [f"{check_prefix(prefix)}:*" for prefix in prefixes]
    redis_of_answers().incr(GENERATION_KEY)  # first: what is kept from here on was begun from here on
    unlink = script("unlink")
    return sum(unlink(keys=[SIZES_KEY, *keys]) for pattern in patterns for keys in _found(pattern))


def _found(pattern: str) -> Iterator[tuple[str, ...]]:
    """Keys of answers, in batches; others that begin alike are left out."""
    scanned = redis_of_answers().scan_iter(match=pattern, count=SCANNED_AT_ONCE)
    entries = filter(is_entry, (key.decode(errors="replace") for key in scanned))
    while batch := tuple(islice(entries, SCANNED_AT_ONCE)):
        yield batch


def status() -> dict[str, Any]:
    now = datetime.now(UTC)
    factor, left_ms, counted, sizes = _read()
    by_prefix = Counter(key.split(":", 1)[0] for prefix in PREFIXES for keys in _found(f"{prefix}:*") for key in keys)
    asked = counted["hits"] + counted["misses"]
    return {
        "mode": "aggressive" if factor > 1 else "normal",
        "ttl_seconds": DEFAULT_TTL_SECONDS * factor,
        "entries": by_prefix.total(),
        "entries_by_prefix": {prefix: by_prefix[prefix] for prefix in PREFIXES},
        **counted,
        "hit_ratio": counted["hits"] / asked if asked else None,
        "bytes": sum(size for minute, size in sizes.items() if minute * 60 >= now.timestamp()),
        "max_bytes": settings.CACHE_MAX_BYTES,
        "expires_at": now + timedelta(milliseconds=left_ms) if left_ms > 0 else None,
    }


def _read() -> tuple[int, int, dict[str, int], dict[int, int]]:
    pipeline: Any = redis_of_answers().pipeline(transaction=True)
    pipeline.get(MODE_KEY).pttl(MODE_KEY).hmget(STATISTICS_KEY, COUNTED).hgetall(SIZES_KEY)
    factor, left_ms, numbers, sizes = pipeline.execute()
    counted = {name: int(number or 0) for name, number in zip(COUNTED, numbers, strict=True)}
    return int(factor or 1), left_ms, counted, {int(minute): int(size) for minute, size in sizes.items()}
