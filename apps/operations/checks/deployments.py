"""Strategies' deployments: those that are stuck on their way, those that fail while active, rollbacks that failed."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from apps.operations.checks.histories import HISTORIES
from apps.operations.checks.registry import register_check
from apps.operations.findings import Finding, Health, Status
from apps.operations.naming import NamingFinding
from apps.operations.stores import words_of
from apps.strategies.models import IN_PIPELINE, Deployment
from apps.strategies.stuck import TIMEOUT

# So long an end that somebody must look at is told of, unless a later deployment took its place.
ENDS_TOLD = timedelta(hours=24)
_MOST_NAMED = 5

CLEAR = "curl -X POST http://localhost:8001/api/v1/sprint3/strategy/deployments/clear-stuck"
SHOW = "scripts/manage.sh doctor --only deployments"
_WORKING = tuple(status for status in IN_PIPELINE if status != Deployment.Status.AWAITING_APPROVAL)


@register_check("deployments")
def check_deployments() -> Health:
    active = Deployment.objects.filter(status=Deployment.Status.ACTIVE)
    working = Deployment.objects.filter(status__in=_WORKING)
    findings = [
        *(_stuck(each) for each in _late(working)[:_MOST_NAMED]),
        *(_timed_out(each) for each in _ended_badly().filter(reason__startswith=TIMEOUT)[:_MOST_NAMED]),
        *(_failing(each) for each in active.filter(failures_in_row__gt=0)[:_MOST_NAMED]),
        *(_rollback(each) for each in _ended_badly().exclude(rolls_back=None)[:_MOST_NAMED]),
    ]
    told, broken = HISTORIES.latest()
    detail = f"{active.count()} active, {working.count()} on their way; histories of versions: {told}"
    return Health(detail, (*findings, *broken))


def _late(working: QuerySet[Deployment]) -> QuerySet[Deployment]:
    return working.filter(created_at__lt=Now() - timedelta(minutes=settings.DEPLOYMENT_STUCK_MINUTES))


def _ended_badly() -> QuerySet[Deployment]:
    """Failed lately, and nothing that was asked for later runs or is on its way in its place."""
    place = {"portfolio": OuterRef("portfolio"), "environment": OuterRef("environment")}
    later = Deployment.objects.filter(**place, created_at__gt=OuterRef("created_at"))
    failed = Deployment.objects.filter(status=Deployment.Status.FAILED, ended_at__gte=Now() - ENDS_TOLD)
    return failed.exclude(Exists(later.exclude(status=Deployment.Status.FAILED)))


def _stuck(deployment: Deployment) -> Finding:
    minutes = settings.DEPLOYMENT_STUCK_MINUTES
    asked = f"was asked for at {deployment.created_at:%Y-%m-%dT%H:%M:%SZ}, more than {minutes} minutes ago."
    stuck = f"is stuck in '{deployment.status}'"
    return NamingFinding(
        Status.DEGRADED,
        f"Deployment {deployment.pk} {stuck}",
        f"{deployment.pk} {asked}",
        CLEAR,
        "deployment-stuck",
        cause_for_all=f"It {asked}",
        symptom_for_all=f"A deployment {stuck}",
    )


def _timed_out(deployment: Deployment) -> Finding:
    return NamingFinding(
        Status.DEGRADED,
        f"Deployment {deployment.pk} was stuck, and ended",
        deployment.reason,
        "scripts/restart-service.sh strategy-deployer",
        "deployment-stuck",
        cause_for_all=f"{TIMEOUT}: it was on its way for too long.",
        symptom_for_all="A deployment was stuck, and ended",
    )


def _failing(deployment: Deployment) -> Finding:
    error = words_of(ValueError(deployment.last_error))
    failed = f"{deployment.failures_in_row} runs in a row have failed"
    return NamingFinding(
        Status.DEGRADED,
        f"Deployment {deployment.pk} is active and fails",
        f"{failed}: {error}",
        _roll_back(deployment.pk),
        "deployment-failing",
        cause_for_all=f"{failed}.",
        symptom_for_all="A deployment is active and fails",
        remedy_for_all=SHOW,
    )


def _rollback(deployment: Deployment) -> Finding:
    return NamingFinding(
        Status.DEGRADED,
        f"The rollback of {deployment.rolls_back_id} failed",
        f"{deployment.pk} was to take its place, and failed: {words_of(ValueError(deployment.reason))}",
        _roll_back(str(deployment.rolls_back_id), force=True),
        "rollback-failing",
        cause_for_all="The deployment that was to take its place failed.",
        symptom_for_all="The rollback of a deployment failed",
        remedy_for_all=SHOW,
    )


def _roll_back(deployment_id: str, *, force: bool = False) -> str:
    body = f'{{"deployment_id": "{deployment_id}"{", " + chr(34) + "force" + chr(34) + ": true" if force else ""}}}'
    address = "http://localhost:8001/api/v1/sprint3/strategy/rollback"
    return f"curl -X POST {address} -H 'Content-Type: application/json' -d '{body}'"
