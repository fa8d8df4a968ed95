"""Whether the monitor goes on, looked at from outside of it: its silence is an alert as well."""

from django.db import transaction

from apps.risk.events import close_portfolio_events, record_events
from apps.risk.models import RiskEvent, Severity
from apps.risk.monitoring import Freshness, hold_monitor, monitor_freshness

STALLED, RESUMED = RiskEvent.Type.MONITORING_STALLED, RiskEvent.Type.MONITORING_RESUMED


@transaction.atomic
def watch_monitor() -> None:
    """Tells once that the monitor stands still, and once that it runs again."""
    hold_monitor()  # one that looks at a time
    freshness = monitor_freshness()
    if freshness.stalled:
        _tell_stalled(freshness)
    elif freshness.monitor.enabled and close_portfolio_events([None], [STALLED]):
        record_events([RiskEvent(event_type=RESUMED, severity=Severity.INFO, message="The monitor runs again")])


def _tell_stalled(freshness: Freshness) -> None:
    if RiskEvent.objects.filter(portfolio=None, event_type=STALLED, closed_at=None).exists():
        return
    why = f"; it failed: {freshness.failure}" if freshness.failure else ""
    message = f"Limits are {freshness.stale_reason}{why}"
    record_events([RiskEvent(event_type=STALLED, severity=Severity.CRITICAL, message=message)])
