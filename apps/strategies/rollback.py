"""Going back: to the version before, to any other, or to nothing where there was none.

Without `force` what runs goes on until the version that replaces it has passed the whole pipeline. With it, and where
the platform does it by itself, what runs is stopped first, in the very request; the version before then comes through
the pipeline without its backtest. Access and audit are the same either way.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.db import transaction
from rest_framework.exceptions import PermissionDenied

from apps.risk.events import record_events
from apps.risk.models import RiskEvent, Severity
from apps.strategies.deployments import last_run_of, make_deployment, submit_pipeline
from apps.strategies.errors import DeploymentStateError, DeploymentUnderWayError
from apps.strategies.models import IN_PIPELINE, Deployment, StrategyVersion
from apps.strategies.states import Status, active, end_deployment, hold_deployment, under_way
from apps.strategies.versions import get_version
from apps.tasks.errors import TaskEndedError
from apps.tasks.models import Task
from apps.tasks.submission import cancel_task
from nautilus.api.access import has_role

BY_ITSELF = "by itself"

# Of what goes back: as it ran there last.
_KEPT = ("schedule", "symbols", "cost_bps")


@transaction.atomic
def roll_back_deployment(
    deployment: Deployment, *, user: Any, force: bool = False, to_version: int | None = None, reason: str = ""
) -> tuple[Deployment, Task]:
    """The deployment that goes on from here, and its task.

    Of one that is active: a new deployment of the version before it, or of `to_version`; where there is none before, or
    the portfolio is closed, the old one itself, which has ended. Of one that is on its way: itself, ended; what was
    active stays. Of one that was rolled back and whose return failed, so that nothing runs: as if it were active.
    Raises DeploymentStateError for any other that has ended, and where a rollback of it is under way;
    VersionNotFoundError; PermissionDenied for an operator who names a version that never ran there.
    """
    why = f"rolled back {f'by {user}' if user else BY_ITSELF}{f': {reason}' if reason else ''}"
    if deployment.status in IN_PIPELINE:
        return _give_up(deployment, why, user)
    _make_way(deployment, why, user, force)
    current = hold_deployment(deployment.pk)
    _refuse_what_does_not_run(current)
    target = None if current.portfolio.closed_at else _target(current, to_version, user)
    if current.status == Status.ACTIVE and (force or target is None):
        end_deployment(current.pk, Status.ROLLED_BACK, why, user=user)
        current.refresh_from_db()
        _alert(current, why, user)
    if target is None:
        return current, _confirm(current, user)
    return _go_back(current, target, why, user, force)


def _refuse_what_does_not_run(current: Deployment) -> None:
    """What was rolled back may be asked for again as long as nothing has taken its place."""
    if current.status == Status.ACTIVE:
        return
    returns = current.status == Status.ROLLED_BACK and current.activated_at and current.previous_id
    if not (returns and active(current.portfolio_id, current.environment) is None):
        raise DeploymentStateError(
            f"{current.pk} is {current.status}: it does not run.",
            "GET /api/v1/sprint3/strategy/deployments?status=active names what does.",
        )


def _give_up(deployment: Deployment, why: str, user: Any) -> tuple[Deployment, Task]:
    """Of one that is on its way: it never was active."""
    why = f"{why}, before it was active"
    if not end_on_its_way(deployment, Status.ROLLED_BACK, why, user=user):
        deployment.refresh_from_db()
        raise DeploymentStateError(
            f"{deployment.pk} is {deployment.status} meanwhile.", "Ask again if you still want it."
        )
    deployment.refresh_from_db()
    return deployment, _confirm(deployment, user)


@transaction.atomic
def end_on_its_way(
    deployment: Deployment, to: str, reason: str, *, user: Any = None, among: Iterable[str] = IN_PIPELINE
) -> bool:
    """Ends one that is in the pipeline, with its task; False where it has come through or has ended.

    The task is held first, as the worker holds it that ends it and activates: in the other order each would wait for
    the other. Whoever comes second finds the task ended; a worker that has it stops within seconds.
    """
    if deployment.task_id:
        Task.objects.select_for_update(no_key=True).get(pk=deployment.task_id)
    ended = end_deployment(deployment.pk, to, reason, user=user, among=among)
    if ended and deployment.task_id:
        with suppress(TaskEndedError):
            cancel_task(deployment.task_id)
    return ended


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
        end_on_its_way(other, Status.FAILED, f"{deployment.pk} was {why}", user=user)


def _target(current: Deployment, to_version: int | None, user: Any) -> StrategyVersion | None:
    if to_version is None:
        return current.previous.version if current.previous else None
    version = get_version(current.strategy_id, to_version)
    if version.pk == current.version_id:
        raise DeploymentStateError(
            f"{current.pk} runs version {to_version} itself.", "Name another version, or none for the one before."
        )
    _check_may_name(user, version, current)
    return version


def _check_may_name(user: Any, version: StrategyVersion, current: Deployment) -> None:
    """A version that never ran there is a deployment like any other, and operators deploy nothing."""
    if last_run_of(version, current) is None and not has_role(user, "strategist"):
        raise PermissionDenied(
            f"Version {version.version} never ran on {current.portfolio_id}: only a strategist may bring it there."
        )


def _go_back(current: Deployment, target: StrategyVersion, why: str, user: Any, force: bool) -> tuple[Deployment, Task]:
    ran = last_run_of(target, current)
    # Before what comes back stands what was before that: rolling back twice goes back twice.
    is_previous = current.previous is not None and current.previous.version_id == target.pk
    back = make_deployment(
        target,
        current.portfolio,
        current.environment,
        user,
        **{name: getattr(ran or current, name) for name in _KEPT},
        skip_backtest=force and ran is not None,
        rolls_back=current,
        previous=current.previous.previous if current.previous and is_previous else current.previous,
        reason=f"{current.pk} was {why}",
    )
    return back, submit_pipeline(back, user, rolls_back=current.pk)


def _confirm(deployment: Deployment, user: Any) -> Task:
    """A task that says how it ended: whoever rolls back follows one in any case."""
    return submit_pipeline(deployment, user, ends=True)


def _alert(current: Deployment, why: str, user: Any) -> None:
    """Open until a deployment is active on the portfolio: until then its positions are nobody's."""
    told = f"{current.strategy_id} ({current.pk}) on {current.portfolio_id} was {why}. It trades no more."
    record_events(
        [
            RiskEvent(
                portfolio_id=current.portfolio_id,
                event_type=RiskEvent.Type.STRATEGY_ROLLED_BACK,
                severity=Severity.WARNING if user else Severity.CRITICAL,
                message=told,
            )
        ]
    )


def roll_back_by_itself(deployment_id: str, reason: str) -> None:
    """Where a gate is broken while it is active: stopped at once, then back. A second call does nothing.

    Nor does one that somebody comes before with another deployment or rollback: while the gate is broken it is called
    again.
    """
    deployment = Deployment.objects.get(pk=deployment_id)
    if deployment.status != Status.ACTIVE:
        return
    with suppress(DeploymentStateError, DeploymentUnderWayError):
        roll_back_deployment(deployment, user=None, force=True, reason=reason)
