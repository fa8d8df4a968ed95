"""Room in Redis without loss: cached answers are made anew when somebody asks."""

import time
from collections.abc import Iterator
from itertools import islice

from redis.exceptions import OutOfMemoryError

from nautilus.cache.control import clear
from nautilus.cache.keys import PREFIXES, is_entry
from nautilus.cache.store import redis_of_answers

# Redis gives the memory of what was unlinked back a moment later.
GIVEN_BACK_SECONDS = 5.0
_PAUSE_SECONDS = 0.05
_AT_ONCE = 1_000


def free_answers() -> str:
    """Clears the cache also where Redis refuses every write for want of memory. Raises RedisError."""
    try:
        freed = clear()
    except OutOfMemoryError:  # at the counter that clear begins with; to take away is allowed
        freed = sum(redis_of_answers().unlink(*keys) for keys in _answers())
        _clear_once_there_is_room()
    return f"dropped {freed} cached answers"


def _clear_once_there_is_room() -> None:
    deadline = time.monotonic() + GIVEN_BACK_SECONDS
    while True:
        try:
            clear()
        except OutOfMemoryError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _answers() -> Iterator[list[bytes]]:
    client = redis_of_answers()
    keys = (key for prefix in PREFIXES for key in client.scan_iter(match=f"{prefix}:*", count=_AT_ONCE))
    entries = (key for key in keys if is_entry(key.decode(errors="replace")))
    while batch := list(islice(entries, _AT_ONCE)):
        yield batch
