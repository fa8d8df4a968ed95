"""Work that nobody waits for, in threads of this process, a few at a time."""

import logging
import threading
from collections.abc import Callable

from django.db import connection

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 2

_free = threading.BoundedSemaphore(MOST_AT_ONCE)


def in_background(work: Callable[[], object], name: str) -> bool:
    """Starts the work, unless enough is going on already."""
    if not _free.acquire(blocking=False):
        return False
    threading.Thread(target=_run, args=[work, name], name=f"cache-renews-{name}", daemon=True).start()
    return True


def _run(work: Callable[[], object], name: str) -> None:
    try:
        work()
    except Exception:
        logger.exception("%s could not be computed anew; its old answer stays until it expires", name)
    finally:
        connection.close()
        _free.release()
