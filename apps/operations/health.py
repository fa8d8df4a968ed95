"""Health bodies (contract section 10): all components, or those that one part of the platform stands on."""

from collections.abc import Iterable
from typing import Any

from django.db import connection

from apps.operations.findings import Health, Status, worst
from apps.operations.running import CHECK_SECONDS, ComponentHealth, run_all, run_checks
from apps.realtime.topics import utc_now
from nautilus import __version__
from nautilus.connections import impatient_redis_client

RISK = ("risk_monitoring", "limit_monitoring", "market_data", "notifications")
ANALYTICS = ("market_data", "analytics_streaming")


def health_body(
    names: Iterable[str] | None = None, *, seconds: float = CHECK_SECONDS, with_names: bool = False
) -> dict[str, Any]:
    return body_of(run_checks(names, seconds=seconds), with_names=with_names)


def body_of(components: dict[str, ComponentHealth], *, with_names: bool = False) -> dict[str, Any]:
    """`with_names`: of portfolios, for those who may know of them all."""
    return {
        "status": worst(each.status for each in components.values()).value,
        "timestamp": utc_now(),
        "version": __version__,
        "components": {name: each.as_dict(with_names=with_names) for name, each in components.items()},
    }


def is_healthy() -> bool:
    """Whether the platform can serve at all: for a load balancer's probe, in less time than it waits."""
    answers = run_all({"probe of the database": _probe_database, "probe of Redis": _probe_redis})
    return all(each.status == Status.HEALTHY for each in answers.values())


def _probe_database() -> Health:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Health("answers")


def _probe_redis() -> Health:
    impatient_redis_client().ping()
    return Health("answers")
