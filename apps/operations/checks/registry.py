"""The checks of components, by name and in the contract's order (section 10)."""

from collections.abc import Callable

from apps.operations.findings import Health

# A check looks and says; it changes nothing, and raises nothing for what it is there to find. What it raises all the
# same, and what takes too long, the runner turns into a finding (running.py).
Check = Callable[[], Health]

COMPONENTS = (
    "database",
    "redis",
    "workers",
    "queues",
    "scheduler",
    "websocket",
    "risk_monitoring",
    "limit_monitoring",
    "market_data",
    "analytics_streaming",
    "deployments",
    "notifications",
    "disk",
)

CHECKS: dict[str, Check] = {}


def register_check(component: str) -> Callable[[Check], Check]:
    """Makes a function the check of a component."""
    if component not in COMPONENTS:
        raise ValueError(f"{component!r} is no component; expected one of {', '.join(COMPONENTS)}.")

    def register(check: Check) -> Check:
        if CHECKS.get(component, check) is not check:
            raise ValueError(f"{component} has a check already.")
        CHECKS[component] = check
        return check

    return register
