"""Whether PostgreSQL and Redis say the same about the monitoring of limits."""

from typing import Any

from django.db.models import F

from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from apps.risk.models import RiskMonitor
from apps.risk.monitoring import FLAG, restore_flag
from nautilus.connections import redis_client

SECTION = "risk-breaches-not-detected"
START = "curl -X POST http://localhost:8001/api/v1/sprint3/risk/monitoring/start"
MEANT = {True: ("1", "true", "on"), False: ("0", "false", "off")}


@register_probe("monitoring-flag", Store.POSTGRESQL, Store.REDIS)
def look() -> Diagnosis:
    """The flag `risk_monitoring_enabled` in Redis against PostgreSQL's word"""
    enabled = RiskMonitor.objects.order_by(F("pk")).values_list("enabled", flat=True).first()
    said = redis_client().get(FLAG)
    detail = f"PostgreSQL says {'nothing yet' if enabled is None else _word(enabled)}, Redis {said!r}."
    word = str(said).strip().lower()
    if enabled is None or word in MEANT[enabled]:
        return Diagnosis(detail)
    finding = _set_otherwise(said, enabled) if word in MEANT[not enabled] else _lost(said, enabled)
    return Diagnosis(detail, (finding,))


def _lost(said: Any, enabled: bool) -> Finding:
    """Only here there is something to mend: the fix never switches monitoring off."""
    return Finding(
        Status.DEGRADED,
        _symptom(said, enabled),
        "Redis was wiped, or somebody has set the key to what means nothing.",
        "scripts/manage.sh doctor --fix --only monitoring-flag",
        SECTION,
        Fix(f"write {FLAG} again as PostgreSQL has it, where Redis says nothing usable", write_again),
    )


def _set_otherwise(said: Any, enabled: bool) -> Finding:
    return Finding(
        Status.DEGRADED,
        _symptom(said, enabled),
        "Somebody has set the key, and the next run of the monitor obeys it.",
        START,
        SECTION,
    )


def _symptom(said: Any, enabled: bool) -> str:
    return f"The flag {FLAG} in Redis is {said!r}, and PostgreSQL says that monitoring is {_word(enabled)}."


def _word(enabled: bool) -> str:
    return "on" if enabled else "off"


def write_again() -> str:
    enabled = restore_flag()
    return f"PostgreSQL says {_word(enabled)}, Redis {redis_client().get(FLAG)!r}"
