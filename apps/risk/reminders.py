"""Open events that nobody has acknowledged are told again, and told to others."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from apps.risk.models import RiskEvent, Severity

REPEATED = (
    RiskEvent.Type.LIMIT_BREACH,
    RiskEvent.Type.LIMIT_UNKNOWN,
    RiskEvent.Type.PRICES_STALE,
    RiskEvent.Type.MONITORING_STALLED,
)

_SQL = Path(__file__).parent / "sql"
_REMINDERS = (_SQL / "alert_reminders.sql").read_text()
_ESCALATIONS = (_SQL / "alert_escalations.sql").read_text()


def remind() -> int:
    """Makes the deliveries that repeat open events; returns how many. Two at once make each of them once."""
    if not settings.ALERT_REPEAT_MINUTES:
        return 0
    repeat_after = timedelta(minutes=settings.ALERT_REPEAT_MINUTES)
    return _make(_REMINDERS, {"event_types": [str(each) for each in REPEATED], "repeat_after": repeat_after})


def escalate() -> int:
    """Makes the deliveries to channels that wait for nobody to have acknowledged; returns how many."""
    return _make(_ESCALATIONS, {})


def _make(statement: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {**parameters, "severities": Severity.values})
        return int(cursor.rowcount)
