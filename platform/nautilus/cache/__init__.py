"""Results that are computed once and answered many times, in Redis (docs/cache.md).

Stands beside the apps and not in `apps.analytics`: risk's results are kept by the same mechanism, and risk may not
import analytics. `apps.analytics.cache` gives it the name of the contract.
"""

from nautilus.cache.results import Answer, CachedFunction, cached_result

__all__ = ["Answer", "CachedFunction", "cached_result"]
