"""What is counted where it happens. Every label has few values: routes, kinds, states, prefixes that the code names.

To count never fails what it counts: where the folder cannot be written, the count is lost and the log says so once.
"""

import logging
from collections import Counter as Count
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import ParamSpec

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from nautilus.counting.files import count_in_files

count_in_files()
disable_created_metrics()  # a series more for each counter, which files do not have

P = ParamSpec("P")

logger = logging.getLogger(__name__)

REGISTRY = CollectorRegistry()

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
TOPIC_PREFIXES = ("portfolio:updates", "risk:alerts", "analytics:updates", "tasks", "deployments", "system")

# An answer from 1 ms to the 30 s that PostgreSQL lets a statement run.
HTTP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# A check decides in 0.5 ms to some ms.
PRETRADE_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)
# From a cached answer to the time limit of 300 s and a little beyond.
TASK_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

HTTP_REQUESTS = Counter(
    "nautilus_http_requests", "Requests by route, method and status", ["route", "method", "status"], registry=REGISTRY
)
HTTP_SECONDS = Histogram(
    "nautilus_http_request_duration_seconds",
    "From a request's arrival in Django to its answer",
    ["route", "method"],
    buckets=HTTP_BUCKETS,
    registry=REGISTRY,
)
HTTP_IN_PROGRESS = Gauge(
    "nautilus_http_requests_in_progress",
    "Requests that Django works on now, over all processes",
    ["process_kind"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
TASKS_ENDED = Counter("nautilus_tasks_ended", "Tasks that ended, by how", ["kind", "status"], registry=REGISTRY)
TASKS_FAILED = Counter("nautilus_tasks_failed", "Tasks that failed, by error code", ["kind", "code"], registry=REGISTRY)
TASK_SECONDS = Histogram(
    "nautilus_task_duration_seconds",
    "From the moment that a worker has a task to its end",
    ["kind"],
    buckets=TASK_BUCKETS,
    registry=REGISTRY,
)
TASK_WAIT_SECONDS = Histogram(
    "nautilus_task_wait_seconds",
    "From a task's submission to the moment that a worker has it",
    ["kind"],
    buckets=TASK_BUCKETS,
    registry=REGISTRY,
)
PRETRADE_DECISIONS = Counter(
    "nautilus_pretrade_decisions", "Pre-trade checks, by what was decided", ["decision"], registry=REGISTRY
)
PRETRADE_SECONDS = Histogram(
    "nautilus_pretrade_duration_seconds",
    "From a pre-trade check's begin to its kept decision",
    ["reserve"],
    buckets=PRETRADE_BUCKETS,
    registry=REGISTRY,
)
MESSAGES_PUBLISHED = Counter(
    "nautilus_messages_published", "Messages published, by the topic's prefix", ["prefix"], registry=REGISTRY
)
ALERT_ATTEMPTS = Counter(
    "nautilus_alert_attempts", "Attempts to tell a channel of an alert", ["kind", "outcome"], registry=REGISTRY
)


class _Complaint:
    is_made = False


def _never_fails(count: Callable[P, None]) -> Callable[P, None]:
    @wraps(count)
    def counting(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            count(*args, **kwargs)
        except (OSError, ValueError) as error:  # no room, no right to write; a file that could not be made after a fork
            if not _Complaint.is_made:
                _Complaint.is_made = True
                logger.warning("Metrics of this process are incomplete: %s", error)

    return counting


@_never_fails
def count_request(route: str | None, method: str | None, status: int, seconds: float) -> None:
    """`route` as the URL configuration has it, None for a path that it does not know."""
    name, verb = route or "unmatched", method if method in METHODS else OTHER
    HTTP_REQUESTS.labels(name, verb, status).inc()
    HTTP_SECONDS.labels(name, verb).observe(seconds)


@_never_fails
def count_in_progress(change: int) -> None:
    HTTP_IN_PROGRESS.labels("web").inc(change)


@_never_fails
def count_task_end(
    kind: str, status: str, error_code: str | None, waited_seconds: float | None, took_seconds: float | None
) -> None:
    """Seconds are None for what there was not: one that was cancelled before a worker had it took no time."""
    TASKS_ENDED.labels(kind, status).inc()
    if error_code:
        TASKS_FAILED.labels(kind, error_code).inc()
    if waited_seconds is not None:
        TASK_WAIT_SECONDS.labels(kind).observe(waited_seconds)
    if took_seconds is not None:
        TASK_SECONDS.labels(kind).observe(took_seconds)


@_never_fails
def count_decision(approved: bool, reserve: bool, seconds: float) -> None:
    PRETRADE_DECISIONS.labels("approved" if approved else "refused").inc()
    PRETRADE_SECONDS.labels("yes" if reserve else "no").observe(seconds)


@_never_fails
def count_published(topics: Iterable[str]) -> None:
    for prefix, number in _by_prefix(topics).items():
        MESSAGES_PUBLISHED.labels(prefix).inc(number)


def _by_prefix(topics: Iterable[str]) -> Mapping[str, int]:
    counted = Count(topic.rpartition(":")[0] for topic in topics)
    known = {prefix: counted.pop(prefix, 0) for prefix in TOPIC_PREFIXES}
    return {prefix: number for prefix, number in {**known, OTHER: counted.total()}.items() if number}


@_never_fails
def count_alert_attempt(kind: str, outcome: str) -> None:
    """`outcome`: delivered, failed (tried again later) or dead (given up)."""
    ALERT_ATTEMPTS.labels(kind, outcome).inc()
