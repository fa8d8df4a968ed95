"""The task that brings a deployment as far as it can go: to `active`, to `awaiting_approval`, or to its end.

It may be tried again at any point (a worker was killed): steps that are done stay done, the one that was under way is
done again.
"""

from typing import Any

from apps.portfolios.matrix import load_current_matrix
from apps.strategies.activation import activate
from apps.strategies.errors import DeploymentEndedError, DeploymentStateError
from apps.strategies.models import Deployment, DeploymentStep
from apps.strategies.pipeline.approval import await_approval
from apps.strategies.pipeline.context import Context
from apps.strategies.pipeline.progress import Attempt, begin
from apps.strategies.pipeline.steps import STEPS
from apps.tasks.execution import Job, Outcome
from nautilus.api.errors import DomainError

Status = Deployment.Status


def run_deploy(job: Job) -> Outcome:
    """Raises what a step raised, and DeploymentStateError where the deployment was ended by somebody else."""
    deployment = Deployment.objects.select_related("version", "portfolio").get(pk=job.task.inputs["deployment_id"])
    steps = list(deployment.steps.all())
    try:
        for number, step in enumerate(steps):
            job.progress(number, len(steps), step.name)
            if not _do(job, deployment, step):
                break
    except DeploymentEndedError:
        pass
    return _outcome(job.task.inputs, deployment)


def _do(job: Job, deployment: Deployment, step: DeploymentStep) -> bool:
    """Whether the next step may follow."""
    if step.status in (DeploymentStep.Status.SUCCEEDED, DeploymentStep.Status.SKIPPED):
        return True
    if step.name == "approval":
        return await_approval(deployment.pk)
    attempt = begin(deployment.pk, step.name)
    if attempt is None:
        return True
    if step.name == "activate":
        attempt.succeed(None, also=activate)
    else:
        _compute(job, deployment, attempt)
    return True


def _compute(job: Job, deployment: Deployment, attempt: Attempt) -> None:
    context = Context(deployment, load_current_matrix(), attempt.say, job.progress)
    try:
        result = STEPS[attempt.name](context)
    except DomainError as error:
        attempt.fail(error, getattr(error, "result", None))
        raise
    attempt.succeed(result)


def _outcome(inputs: dict[str, Any], deployment: Deployment) -> Outcome:
    deployment.refresh_from_db()
    if deployment.status == Status.FAILED or (deployment.has_ended and not inputs.get("ends")):
        raise DeploymentStateError(
            f"{deployment.pk} is {deployment.status}: {deployment.reason}", "Deploy the version anew."
        )
    return Outcome({"deployment_id": deployment.pk, "status": deployment.status, "reason": deployment.reason})
