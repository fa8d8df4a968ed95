"""Who is to blame where a check itself fails or gives no answer: mostly the store that it asks."""

import sys
from dataclasses import replace
from datetime import datetime

from django.db.utils import Error as DatabaseError
from redis.exceptions import RedisError

from apps.operations.findings import Finding, Status
from apps.operations.stores import database_finding, database_hangs, redis_finding, redis_hangs, words_of

# The section of a component whose check fails by a fault of its own, or hangs in no store.
_SECTIONS = {
    "database": "database-connection-lost",
    "redis": "redis-time-outs",
    "workers": "workers-all-gone",
    "queues": "queue-grown-long",
    "scheduler": "scheduler-gone",
    "websocket": "sockets-subscribed-but-silent",
    "risk_monitoring": "risk-figures-stuck",
    "limit_monitoring": "risk-breaches-not-detected",
    "market_data": "market-data-stopped",
    "analytics_streaming": "analytics-dashboard-static",
    "deployments": "deployment-stuck",
    "notifications": "alerts-not-delivered",
    "disk": "disk-full",
}
_STORES = {"psycopg": "database", "redis": "redis"}


def waits_for(thread_id: int | None) -> str | None:
    """The store whose driver a thread is in at this moment: "database", "redis", or None."""
    frame = sys._current_frames().get(thread_id or -1)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in _STORES:
            return _STORES[package]
        frame = frame.f_back
    return None


def finding_of_silence(component: str, store: str | None, began_at: datetime, seconds: float) -> Finding:
    """For a check that has given no answer for so long; `store` is what it waits for."""
    since = f" since {began_at:%H:%M:%SZ} ({seconds:.1f} s)"
    if component in ("database", "redis") and store == component:
        return database_hangs(since) if component == "database" else redis_hangs(since)
    symptom = f"How {_named(component)} does is not known: there is no answer{since}"
    if store:
        return replace(database_hangs() if store == "database" else redis_hangs(), symptom=symptom)
    cause = "The check waits for neither the database nor Redis: the machine has no time for it, or it hangs elsewhere."
    return replace(_of_the_check(component, symptom, cause), remedy="scripts/manage.sh doctor")


def finding_of_error(component: str, error: Exception) -> Finding:
    """For what a check raised: the store's finding under the component's symptom, or the exception by its name."""
    symptom = f"How {_named(component)} does is not known"
    if isinstance(error, DatabaseError):
        found = database_finding(error)
        return found if component == "database" else _blamed(found, symptom)
    if isinstance(error, RedisError):
        found = redis_finding(error)
        return found if component == "redis" else _blamed(found, symptom)
    return _of_the_check(component, symptom, f"Its check failed with {type(error).__name__}: {words_of(error)}")


def _blamed(found: Finding, symptom: str) -> Finding:
    return replace(found, symptom=symptom, cause=f"{found.symptom}. {found.cause}")


def _of_the_check(component: str, symptom: str, cause: str) -> Finding:
    remedy = f"scripts/manage.sh doctor --only {component}"
    return Finding(Status.UNHEALTHY, symptom, cause, remedy, _SECTIONS.get(component, "web-gone"))


def _named(component: str) -> str:
    return component.replace("_", " ")
