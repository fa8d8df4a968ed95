"""Whether PostgreSQL and Redis say the same about the monitoring of limits."""

from django.db.models import F

from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from apps.risk.models import RiskMonitor
from apps.risk.monitoring import FLAG, agree_on_flag
from nautilus.connections import redis_client

SECTION = "risk-breaches-not-detected"
MEANT = {True: ("1", "true", "on"), False: ("0", "false", "off")}


@register_probe("monitoring-flag", Store.POSTGRESQL, Store.REDIS)
def look() -> Diagnosis:
    """The flag `risk_monitoring_enabled` in Redis against PostgreSQL's word"""
    enabled = RiskMonitor.objects.order_by(F("pk")).values_list("enabled", flat=True).first()
    said = redis_client().get(FLAG)
    detail = f"PostgreSQL says {'nothing yet' if enabled is None else 'on' if enabled else 'off'}, Redis {said!r}."
    if enabled is None or str(said).strip().lower() in MEANT[enabled]:
        return Diagnosis(detail)
    finding = Finding(
        Status.DEGRADED,
        f"The flag {FLAG} in Redis is {said!r}, and PostgreSQL says that monitoring is {'on' if enabled else 'off'}.",
        "Redis was wiped, or somebody has set the key; the next run of the monitor makes both the same.",
        "scripts/manage.sh doctor --fix --only monitoring-flag",
        SECTION,
        Fix(f"write {FLAG} again where it says nothing, or obey it where somebody has set it", agree),
    )
    return Diagnosis(detail, (finding,))


def agree() -> str:
    return f"PostgreSQL and Redis agree: monitoring is {'on' if agree_on_flag() else 'off'}"
