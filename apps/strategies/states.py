"""How a deployment changes: held, compared, written, told. Nothing else writes its status."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from apps.realtime.topics import publish_after_commit
from apps.strategies.models import IN_PIPELINE, Deployment, DeploymentStep
from apps.strategies.representation import deployment_as_told
from apps.strategies.running.orders import cancel_open_orders

Status = Deployment.Status
Step = DeploymentStep.Status

_NOT_ENDED = (*IN_PIPELINE, Status.ACTIVE)


def hold_deployment(deployment_id: str) -> Deployment:
    """The row, held until the transaction ends: who changes a deployment, or acts for it, comes one after the other."""
    return Deployment.objects.select_for_update(no_key=True).get(pk=deployment_id)


def move(deployment: Deployment, to: str, **fields: Any) -> None:
    """One allowed change of a deployment that the caller holds. Raises ValueError for one that is not."""
    if to not in Deployment.TRANSITIONS.get(deployment.status, set()):
        raise ValueError(f"{deployment.pk} is {deployment.status}: it cannot become {to}")
    write(deployment, status=to, **fields)


def write(row: Model, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(update_fields=list(fields))


@transaction.atomic
def end_deployment(deployment_id: str, to: str, reason: str, *, user: Any = None, among: Iterable[str] = ()) -> bool:
    """Ends one that has not ended, with its open steps and orders; False where it had.

    `among` names the states that it may be ended from, where not all.
    """
    deployment = hold_deployment(deployment_id)
    if deployment.status not in (tuple(among) or _NOT_ENDED):
        return False
    move(deployment, to, reason=reason, ended_at=timezone.now(), ended_by=user if getattr(user, "pk", None) else None)
    _end_steps(deployment, failed=to == Status.FAILED, why=reason)
    cancel_open_orders(deployment.pk, f"{deployment.pk} is {to}")
    tell(deployment, f"deployment.{to}")
    return True


def _end_steps(deployment: Deployment, *, failed: bool, why: str) -> None:
    """The step that runs fails with the deployment; those after it are not done any more."""
    running = deployment.steps.filter(status=Step.RUNNING)
    ended = Step.FAILED if failed else Step.CANCELLED
    for step in running:
        write(step, status=ended, finished_at=timezone.now(), log=with_line(step.log, why))
    deployment.steps.filter(status=Step.PENDING).update(status=Step.CANCELLED)


def with_line(log: str, line: str) -> str:
    """The log with one more line, and the time in front of it."""
    return f"{log}{timezone.now():%Y-%m-%dT%H:%M:%SZ} {line}\n"


def tell(deployment: Deployment, event: str, **more: Any) -> None:
    """After commit, with the deployment as it is then."""
    publish_after_commit(deployment.topic, {"event": event, **deployment_as_told(deployment), **more})


def under_way(portfolio_id: str, environment: str) -> Deployment | None:
    return Deployment.objects.filter(portfolio=portfolio_id, environment=environment, status__in=IN_PIPELINE).first()


def active(portfolio_id: str, environment: str) -> Deployment | None:
    return Deployment.objects.filter(portfolio=portfolio_id, environment=environment, status=Status.ACTIVE).first()
