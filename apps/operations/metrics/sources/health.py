"""The components' health, as GET /api/v1/sprint3/system/health has it at this moment."""

from collections.abc import Iterator

from prometheus_client import Metric

from apps.operations.findings import Status
from apps.operations.metrics.families import gauge
from apps.operations.metrics.sources.registry import register_source
from apps.operations.running import run_checks

GRADES = {Status.HEALTHY: 0, Status.DEGRADED: 1, Status.UNHEALTHY: 2}


@register_source("health")
def health() -> Iterator[Metric]:
    """Findings have a series for each component and section of the runbook, as long as they last."""
    components = run_checks()
    grades = [((name,), GRADES[one.status]) for name, one in components.items()]
    yield gauge("component_health", "0 healthy, 1 degraded, 2 unhealthy", ["component"], grades)
    took = [((name,), one.latency_ms / 1_000) for name, one in components.items()]
    yield gauge("component_check_seconds", "How long the component's check took", ["component"], took)
    worst: dict[tuple[str, str], int] = {}
    for name, one in components.items():
        for finding in one.health.findings:
            key = (name, finding.section)
            worst[key] = max(worst.get(key, 0), GRADES[finding.status])
    text = "What is wrong, by the runbook's section: 1 degraded, 2 unhealthy"
    yield gauge("health_finding", text, ["component", "section"], worst.items())
