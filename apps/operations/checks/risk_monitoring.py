"""The monitor of limits by its own row and the database's clock: true also when everything else is dead."""

from django.db.models.functions import Now
from redis.exceptions import RedisError

from apps.operations.checks.registry import register_check
from apps.operations.checks.scheduler import SILENT_SECONDS as SCHEDULER_SILENT_SECONDS
from apps.operations.checks.workers import SILENT_SECONDS, restart_of
from apps.operations.findings import Finding, Health, Status
from apps.risk.models import RiskEvent, RiskMonitor
from apps.risk.monitoring import Freshness
from apps.tasks.models import Task
from nautilus.connections import redis_client
from nautilus.pulses import scheduler_pulses, worker_pulses

START = "curl -X POST http://localhost:8001/api/v1/sprint3/risk/monitoring/start"
QUEUE = "maintenance_queue"  # where beat sends the monitor's runs
NIGHTLY = "risk.analyze_all"


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
        client = redis_client()
        leads = any(one.leads and one.silent_seconds <= SCHEDULER_SILENT_SECONDS for one in scheduler_pulses(client))
        works = any(QUEUE in one.queues and one.silent_seconds <= SILENT_SECONDS for one in worker_pulses(client))
    except RedisError:
        return "Redis cannot be reached, which brings the runs to their worker.", "scripts/restart-service.sh redis"
    if not leads:
        return "No scheduler leads, so that nobody asks for a run.", "scripts/restart-service.sh scheduler"
    if not works:
        return f"No worker of {QUEUE} is alive, so that nobody carries a run out.", restart_of(QUEUE)
    return f"Runs are asked for, and the workers of {QUEUE} do not carry them out in time.", restart_of(QUEUE)


def _of_prices() -> Finding | None:
    stale = RiskEvent.objects.filter(event_type=RiskEvent.Type.PRICES_STALE, closed_at=None)
    portfolios = stale.values("portfolio_id").distinct().count()
    if not portfolios:
        return None
    cause = f"Of {portfolios} portfolios the prices are older than they may be: no newer close or quote has come."
    remedy = "scripts/restart-service.sh market-feed"
    return Finding(Status.DEGRADED, "Risk figures stand on old prices", cause, remedy, "risk-figures-stuck")


def _of_nightly_run() -> Finding | None:
    """The last run over all portfolios that the schedule asked for."""
    last = Task.objects.filter(kind=NIGHTLY, created_by=None).order_by("-created_at").first()
    if last is None or last.status != Task.Status.FAILED:
        return None
    cause = f"Its task {last.pk} failed: {(last.error or {}).get('detail', 'without a word')}"
    remedy = f"curl -X POST http://localhost:8001/api/v1/tasks/{last.pk}/retry"
    symptom = "The stored risk figures are not of last night"
    return Finding(Status.DEGRADED, symptom, cause, remedy, "risk-figures-stuck")
