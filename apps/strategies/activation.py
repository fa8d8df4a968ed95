"""A deployment becomes the one that runs on its portfolio, and the one before it ends, in one transaction."""

from django.utils import timezone

from apps.strategies.models import Deployment
from apps.strategies.running.due import submit_run
from apps.strategies.states import Status, active, end_deployment, move, tell


def activate(deployment: Deployment) -> None:
    """To be called in a transaction that holds the deployment.

    Whoever needs two of a portfolio's deployments holds the one under way first, and the active one second.
    """
    before = active(deployment.portfolio_id, deployment.environment)
    if before is not None:
        _end(before, deployment)
    fields = {} if deployment.rolls_back_id else {"previous": before, "reason": ""}
    move(deployment, Status.ACTIVE, activated_at=timezone.now(), **fields)
    tell(deployment, "deployment.activated")
    submit_run(deployment)  # beat would, half a minute later


def _end(before: Deployment, after: Deployment) -> None:
    if before.pk == after.rolls_back_id:
        end_deployment(before.pk, Status.ROLLED_BACK, after.reason, user=after.created_by)
    else:
        end_deployment(before.pk, Status.SUPERSEDED, f"{after.pk} took its place", user=after.created_by)
