"""Going back: to the version before, to any other, or to nothing where there was none.

Without `force` what runs goes on until the version that replaces it has passed the whole pipeline. With it, and where
the platform does it by itself, what runs is stopped first, in the very request; the version before then comes through
the pipeline without its backtest. Access and audit are the same either way.
"""

from typing import Any

from django.db import transaction

from apps.strategies.deployments import make_deployment, submit_pipeline
from apps.strategies.errors import DeploymentStateError, DeploymentUnderWayError
from apps.strategies.models import IN_PIPELINE, Deployment, StrategyVersion
from apps.strategies.states import Status, end_deployment, hold_deployment, under_way
from apps.strategies.versions import get_version
from apps.tasks.errors import TaskEndedError
from apps.tasks.models import Task
from apps.tasks.submission import cancel_task

BY_ITSELF = "by itself"

# Of what goes back, what it was asked for with.
_KEPT = ("schedule", "symbols", "cost_bps")


@transaction.atomic
def roll_back_deployment(
    deployment: Deployment, *, user: Any, force: bool = False, to_version: int | None = None, reason: str = ""
) -> tuple[Deployment, Task]:
    """The deployment that goes on from here, and its task.

    Of one that is active: a new deployment of the version before it, or of `to_version`; where there is none before,
    the old one itself, which has ended. Of one that is on its way: itself, ended; what was active stays.
    Raises DeploymentStateError for one that has ended, and where a rollback of it is under way; VersionNotFoundError.
    """
    why = f"rolled back {f'by {user}' if user else BY_ITSELF}{f': {reason}' if reason else ''}"
    if deployment.status in IN_PIPELINE:
        return _give_up(deployment, why, user)
    _make_way(deployment, why, user, force)
    current = hold_deployment(deployment.pk)
    if current.status != Status.ACTIVE:
        raise DeploymentStateError(
            f"{current.pk} is {current.status}{f' ({current.reason})' if current.reason else ''}: it does not run.",
            "GET /api/v1/sprint3/strategy/deployments?status=active names what does.",
        )
    target = _target(current, to_version)
    if force or target is None:
        end_deployment(current.pk, Status.ROLLED_BACK, why, user=user)
    if target is None:
        current.refresh_from_db()
        return current, _confirm(current, user)
    return _go_back(current, target, why, user, force)


def _give_up(deployment: Deployment, why: str, user: Any) -> tuple[Deployment, Task]:
    """Of one that is on its way: it never was active."""
    why = f"{why}, before it was active"
    if not end_deployment(deployment.pk, Status.ROLLED_BACK, why, user=user, among=IN_PIPELINE):
        deployment.refresh_from_db()
        raise DeploymentStateError(
            f"{deployment.pk} is {deployment.status} meanwhile.", "Ask again if you still want it."
        )
    stop_task(deployment)
    deployment.refresh_from_db()
    return deployment, _confirm(deployment, user)


def stop_task(deployment: Deployment) -> None:
    """The worker that has it stops within seconds; it writes nothing more in any case."""
    try:
        if deployment.task_id:
            cancel_task(deployment.task_id)
    except TaskEndedError:
        pass


def _make_way(deployment: Deployment, why: str, user: Any, force: bool) -> None:
    """What is on its way to the same portfolio would take the place of what comes back: with `force` it ends.

    So does a rollback of the same that waits for its backtest while what it rolls back goes on: `force` stops that now.
    """
    other = under_way(deployment.portfolio_id, deployment.environment)
    if other is None:
        return
    if other.rolls_back_id == deployment.pk and not (force and not other.skip_backtest):
        raise DeploymentStateError(
            f"{other.pk} rolls {deployment.pk} back already: it is {other.status}.", f"Follow {other.pk}."
        )
    if force:
        end_deployment(other.pk, Status.FAILED, f"{deployment.pk} was {why}", user=user, among=IN_PIPELINE)
        stop_task(other)


def _target(current: Deployment, to_version: int | None) -> StrategyVersion | None:
    if to_version is None:
        return current.previous.version if current.previous else None
    version = get_version(current.strategy_id, to_version)
    if version.pk == current.version_id:
        raise DeploymentStateError(
            f"{current.pk} runs version {to_version} itself.", "Name another version, or none for the one before."
        )
    return version


def _go_back(current: Deployment, target: StrategyVersion, why: str, user: Any, force: bool) -> tuple[Deployment, Task]:
    # Before what comes back stands what was before that: rolling back twice goes back twice.
    source = current.previous if current.previous and current.previous.version_id == target.pk else None
    kept = source or current
    back = make_deployment(
        target,
        current.portfolio,
        current.environment,
        user,
        **{name: getattr(kept, name) for name in _KEPT},
        skip_backtest=force,
        rolls_back=current,
        previous=source.previous if source else current.previous,
        reason=f"{current.pk} was {why}",
    )
    return back, submit_pipeline(back, user, rolls_back=current.pk)


def _confirm(deployment: Deployment, user: Any) -> Task:
    """A task that says how it ended: whoever rolls back follows one in any case."""
    return submit_pipeline(deployment, user, ends=True)


def roll_back_by_itself(deployment_id: str, reason: str) -> None:
    """Where a gate is broken while it is active: stopped at once, then back. A second call does nothing.

    Nor does one that somebody comes before with another deployment or rollback: while the gate is broken it is called
    again.
    """
    try:
        roll_back_deployment(Deployment.objects.get(pk=deployment_id), user=None, force=True, reason=reason)
    except (DeploymentStateError, DeploymentUnderWayError):
        return
