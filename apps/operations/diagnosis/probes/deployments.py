"""Deployments that are on their way for too long."""

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from apps.strategies.models import IN_PIPELINE, Deployment
from apps.strategies.stuck import clear_stuck_deployments


@register_probe("stuck-deployments", Store.POSTGRESQL)
def look() -> Diagnosis:
    """Deployments that are on their way for longer than NAUTILUS_DEPLOYMENT_STUCK_MINUTES"""
    minutes = settings.DEPLOYMENT_STUCK_MINUTES
    on_their_way = Deployment.objects.filter(status__in=IN_PIPELINE)
    working = on_their_way.exclude(status=Deployment.Status.AWAITING_APPROVAL)
    stuck = list(working.filter(created_at__lt=Now() - timedelta(minutes=minutes)).values_list("pk", flat=True))
    detail = f"{on_their_way.count()} deployments on their way, {len(stuck)} of them for more than {minutes} minutes."
    return Diagnosis(detail, (_finding(stuck, minutes),) if stuck else ())


def _finding(stuck: list[str], minutes: int) -> Finding:
    return Finding(
        Status.DEGRADED,
        f"{', '.join(stuck)} on the way for more than {minutes} minutes.",
        "strategy-deployer is gone or busy, or the scheduler, which ends them by itself.",
        "scripts/manage.sh doctor --fix --only stuck-deployments",
        "deployment-stuck",
        Fix(f"end deployments that are on their way for more than {minutes} minutes, as failed", clear),
    )


def clear() -> str:
    ended = clear_stuck_deployments()
    return f"ended {', '.join(ended)} as failed" if ended else "none was stuck any more"
