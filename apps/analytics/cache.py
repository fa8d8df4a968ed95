"""`cache_analytics_result`: results that are kept under `analytics:*` and `risk:*` (contract sections 7 and 11).

The mechanism is `nautilus.cache`, below all apps, because risk keeps results too and may not import analytics.
"""

from collections.abc import Callable
from typing import Any

from nautilus.cache import CachedFunction, cached_result


def cache_analytics_result(
    ttl: float = 300,
    prefix: str = "analytics",
    *,
    version: Callable[..., str],
    key: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], CachedFunction]:
    """`nautilus.cache.cached_result`, with analytics' own prefix where none is given."""
    return cached_result(ttl, prefix=prefix, version=version, key=key, name=name)
