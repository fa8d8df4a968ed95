"""The monitor of limits by its own row and the database's clock: true also when everything else is dead."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from redis.exceptions import RedisError

from apps.operations.checks.registry import register_check
from apps.operations.checks.scheduler import SILENT_SECONDS as SCHEDULER_SILENT_SECONDS
from apps.operations.checks.workers import SILENT_SECONDS, prove_that_pulses_are_taken, restart_of
from apps.operations.findings import Finding, Health, Status
from apps.operations.stores import redis_finding
from apps.portfolios.models import Portfolio, Position
from apps.risk.all_portfolios import DEFAULTS
from apps.risk.models import RiskEvent, RiskMonitor
from apps.risk.monitoring import Freshness
from apps.tasks.models import Task
from nautilus.connections import redis_client
from nautilus.pulses import scheduler_pulses, worker_pulses

START = "curl -X POST http://localhost:8001/api/v1/sprint3/risk/monitoring/start"
QUEUE = "maintenance_queue"  # where beat sends the monitor's runs
NIGHTLY = "risk.analyze_all"
ANALYZE_ALL = (
    "curl -X POST http://localhost:8001/api/v1/sprint3/analytics/risk/analyze-all "
    "-H 'Content-Type: application/json' -d '{}'"
)
HOUR = timedelta(hours=1)
# A day between two runs, and the time that the later one waits for its scheduler.
NIGHTLY_LATE = 25 * HOUR
# One that began at 22:30 has then not ended by the morning.
NIGHTLY_RUNS = 6 * HOUR


@register_check("risk_monitoring")
def check_risk_monitoring() -> Health:
    freshness = read_freshness()
    if freshness is None:
        return Health("the monitor has not run yet", (_never_ran(),))
    found = (_of_monitor(freshness), _of_prices(), _of_nightly_run())
    return Health(_detail(freshness), tuple(finding for finding in found if finding))


def read_freshness() -> Freshness | None:
    """As monitor_freshness, which makes the row where there is none: a look changes nothing."""
    monitor = RiskMonitor.objects.annotate(now=Now()).first()
    return Freshness(monitor, monitor.now) if monitor else None


def _detail(freshness: Freshness) -> str:
    monitor, lag = freshness.monitor, freshness.lag_seconds
    ran = f"ran {lag:.1f} s ago" if lag is not None else "has not run yet"
    return f"{ran}, every {freshness.interval_seconds} s; {monitor.portfolios_monitored} portfolios"


def _never_ran() -> Finding:
    symptom, cause = "No limit was evaluated yet", "Nothing has asked for the monitor's first run."
    remedy = "scripts/restart-service.sh scheduler"
    return Finding(Status.DEGRADED, symptom, cause, remedy, "risk-figures-stuck")


def _of_monitor(freshness: Freshness) -> Finding | None:
    if not freshness.monitor.enabled:
        who = freshness.monitor.changed_by
        cause = f"Monitoring was stopped at {freshness.monitor.changed_at:%Y-%m-%dT%H:%M:%SZ} by {who or 'a shell'}."
        return Finding(Status.UNHEALTHY, "No limit is evaluated", cause, START, "risk-breaches-not-detected")
    if not freshness.stalled:
        return None
    cause, remedy = _why_stalled(freshness)
    symptom = f"Risk figures are stuck: {freshness.stale_reason or 'the monitor does not run'}"
    return Finding(Status.UNHEALTHY, symptom, cause, remedy, "risk-figures-stuck")


def _why_stalled(freshness: Freshness) -> tuple[str, str]:
    """Cause and remedy: what a run said, else who is missing between the schedule and the run."""
    if freshness.failure:
        return f"Its runs fail: {freshness.failure}", restart_of(QUEUE)
    try:
        leads, works = _who_is_alive()
    except RedisError as error:
        found = redis_finding(error)
        return f"{found.symptom}, and Redis brings the runs to their worker. {found.cause}", found.remedy
    if not leads:
        return "No scheduler leads, so that nobody asks for a run.", "scripts/restart-service.sh scheduler"
    if not works:
        return f"No worker of {QUEUE} is alive, so that nobody carries a run out.", restart_of(QUEUE)
    return f"Runs are asked for, and the workers of {QUEUE} do not carry them out in time.", restart_of(QUEUE)


def _who_is_alive() -> tuple[bool, bool]:
    """Whether a scheduler leads, and whether a worker of the monitor's queue lives."""
    client = redis_client()
    leads = any(one.leads and one.silent_seconds <= SCHEDULER_SILENT_SECONDS for one in scheduler_pulses(client))
    works = any(QUEUE in one.queues and one.silent_seconds <= SILENT_SECONDS for one in worker_pulses(client))
    if not (leads and works):
        prove_that_pulses_are_taken(client)
    return leads, works


def _of_prices() -> Finding | None:
    stale = RiskEvent.objects.filter(event_type=RiskEvent.Type.PRICES_STALE, closed_at=None)
    portfolios = stale.values("portfolio_id").distinct().count()
    if not portfolios:
        return None
    cause = f"Of {portfolios} portfolios the prices are older than they may be: no newer close or quote has come."
    remedy = "scripts/restart-service.sh market-feed"
    return Finding(Status.DEGRADED, "Risk figures stand on old prices", cause, remedy, "risk-figures-stuck")


def _of_nightly_run() -> Finding | None:
    """The last run over all portfolios that the schedule asked for, or that somebody made up for."""
    last = _last_run()
    if last is not None and last.status == Task.Status.FAILED:
        return _failed(last)
    if settings.RISK_NIGHTLY_AT == "off":
        return None
    if last is not None and last.status == Task.Status.PROCESSING and last.age > NIGHTLY_RUNS:
        return _runs_for_long(last)
    return _missed(last)


def _last_run() -> Any:
    """The newest task, with its `age` by the database's clock; one that a person asked for counts once it is done."""
    made_up = Q(status=Task.Status.SUCCEEDED, inputs=DEFAULTS)
    tasks = Task.objects.filter(Q(created_by=None) | made_up, kind=NIGHTLY)
    return tasks.annotate(age=Now() - F("created_at")).order_by("-created_at").first()


def _failed(last: Task) -> Finding:
    cause = f"Its task {last.pk} failed: {(last.error or {}).get('detail', 'without a word')}"
    return _not_of_last_night(cause, f"curl -X POST http://localhost:8001/api/v1/tasks/{last.pk}/retry")


def _runs_for_long(last: Any) -> Finding:
    cause = f"Its task {last.pk} has been processing for {last.age / HOUR:.0f} hours."
    return _not_of_last_night(cause, "scripts/manage.sh doctor --only queue-lengths worker-tasks")


def _missed(last: Any) -> Finding | None:
    age = last.age if last is not None else _age_of_first_book()
    if age is None or age <= NIGHTLY_LATE or not _held_books().exists():
        return None
    since = f"for {age / HOUR:.0f} hours" if last is not None else "since the first portfolio was opened"
    cause = f"No run has begun {since}, and one is due each day at {settings.RISK_NIGHTLY_AT} UTC."
    return _not_of_last_night(cause, ANALYZE_ALL)


def _age_of_first_book() -> timedelta | None:
    """So long there has been something to compute: a platform of today has missed no night."""
    age: timedelta | None = _held_books().aggregate(age=Now() - Min("created_at"))["age"]
    return age


def _held_books() -> QuerySet[Portfolio]:
    return Portfolio.objects.filter(Exists(Position.objects.filter(portfolio=OuterRef("pk"))), closed_at=None)


def _not_of_last_night(cause: str, remedy: str) -> Finding:
    symptom = "The stored risk figures are not of last night"
    return Finding(Status.DEGRADED, symptom, cause, remedy, "risk-figures-stuck")
