"""What the pipeline writes: each change holds the deployment's row and sees that it has not been ended.

A step is begun by whoever has the task, and gets a new number of attempts. Who finishes it must have that number: a
worker that was frozen, and wakes up when another does the step again, writes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.strategies.errors import DeploymentEndedError
from apps.strategies.models import IN_PIPELINE, Deployment, DeploymentStep
from apps.strategies.states import end_deployment, hold_deployment, move, tell, with_line, write
from apps.tasks.errors import JobStoppedError
from apps.tasks.execution import Job
from apps.tasks.models import Task
from nautilus.api.errors import DomainError

Status = Deployment.Status
Step = DeploymentStep.Status

# What the deployment is called while a step of this name is done.
_STATUS_OF = {"validate": Status.VALIDATING, "backtest": Status.BACKTESTING, "risk": Status.BACKTESTING}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one step."""

    deployment: Deployment
    name: str
    number: int

    def _hold(self) -> DeploymentStep:
        """The step, with its deployment held. Raises DeploymentEndedError where this try is no longer the one."""
        hold_in_pipeline(self.deployment.pk)
        step = self.deployment.steps.get(name=self.name)
        if (step.status, step.attempts) != (Step.RUNNING, self.number):
            raise DeploymentEndedError
        return step

    @transaction.atomic
    def say(self, line: str) -> None:
        """One more line of the step's log."""
        step = self._hold()
        write(step, log=with_line(step.log, line))
        tell(self.deployment, "deployment.step", step=self.name)

    @transaction.atomic
    def succeed(self, result: dict[str, Any] | None, also: Callable[[Deployment], None] | None = None) -> None:
        """`also` writes in the same transaction, with the deployment held."""
        step = self._hold()
        write(step, status=Step.SUCCEEDED, finished_at=timezone.now(), result=result)
        if also is not None:
            also(hold_deployment(self.deployment.pk))
        tell(self.deployment, "deployment.step", step=self.name)

    @transaction.atomic
    def fail(self, error: DomainError, result: dict[str, Any] | None = None) -> None:
        """The step and with it the deployment."""
        step = self._hold()
        write(step, result=result)
        end_deployment(self.deployment.pk, Status.FAILED, f"{self.name}: {error.sentence}")


def hold_in_pipeline(deployment_id: str) -> Deployment:
    """Raises DeploymentEndedError for one that has ended, or is active already."""
    deployment = hold_deployment(deployment_id)
    if deployment.status not in IN_PIPELINE:
        raise DeploymentEndedError
    return deployment


@transaction.atomic
def begin(deployment_id: str, name: str, job: Job) -> Attempt | None:
    """A new try at a step; None for one that is done. A step that a dead worker had begun is begun again.

    Raises JobStoppedError for a job that has lost its task, DeploymentEndedError.
    """
    deployment = hold_in_pipeline(deployment_id)
    if not Task.objects.filter(pk=job.task.pk, status=Task.Status.PROCESSING, attempts=job.attempt).exists():
        raise JobStoppedError
    step = deployment.steps.get(name=name)
    if step.status in (Step.SUCCEEDED, Step.SKIPPED):
        return None
    log = with_line(step.log, "begun again: the worker that did it is gone") if step.attempts else step.log
    write(step, status=Step.RUNNING, attempts=step.attempts + 1, started_at=timezone.now(), log=log)
    status = _STATUS_OF.get(name, deployment.status)
    if status != deployment.status:
        move(deployment, status)
    tell(deployment, "deployment.step", step=name)
    return Attempt(deployment, name, step.attempts)
