"""The task that brings a deployment as far as it can go: to `active`, to `awaiting_approval`, or to its end.

It may be tried again at any point (a worker was killed): steps that are done stay done, the one that was under way is
done again. The last step is written in the transaction that ends the task: a task that was cancelled, or that another
worker has by now, activates nothing.
"""

from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from apps.portfolios.access import visible_portfolios
from apps.portfolios.matrix import load_current_matrix
from apps.strategies.activation import activate, refuse_what_cannot_run
from apps.strategies.errors import DeploymentEndedError, DeploymentStateError
from apps.strategies.models import Deployment, DeploymentStep
from apps.strategies.pipeline.approval import await_approval
from apps.strategies.pipeline.context import Context
from apps.strategies.pipeline.progress import Attempt, begin
from apps.strategies.pipeline.steps import STEPS
from apps.tasks.errors import JobStoppedError
from apps.tasks.execution import Job, Outcome, as_domain_error
from nautilus.api.errors import DomainError

Status = Deployment.Status

_LOST_STORE = (OperationalError, InterfaceError, RedisError)


def run_deploy(job: Job) -> Outcome:
    """Raises what a step raised, and DeploymentStateError where the deployment was ended by somebody else."""
    deployment = Deployment.objects.select_related("version", "portfolio").get(pk=job.task.inputs["deployment_id"])
    try:
        if _bring_to_the_last_step(job, deployment):
            return _activation(job, deployment)
    except DeploymentEndedError:
        pass
    return _as_it_is(job, deployment)


def _bring_to_the_last_step(job: Job, deployment: Deployment) -> bool:
    """Whether it has come there; False where it waits for somebody to approve it."""
    steps = list(deployment.steps.exclude(name="activate"))
    for number, step in enumerate(steps):
        job.progress(number, len(steps) + 1, step.name)
        if step.status in (DeploymentStep.Status.SUCCEEDED, DeploymentStep.Status.SKIPPED):
            continue
        if step.name == "approval":
            return await_approval(deployment.pk)
        if attempt := begin(deployment.pk, step.name, job):
            _compute(job, deployment, attempt)
    return True


def _compute(job: Job, deployment: Deployment, attempt: Attempt) -> None:
    """A fault of ours ends the step like one of the strategy's; a store that is away is waited for."""
    try:
        context = Context(deployment, load_current_matrix(), attempt.say, job.progress)
        result = STEPS[attempt.name](context)
    except (JobStoppedError, DeploymentEndedError, *_LOST_STORE):
        raise
    except Exception as error:
        told = error if isinstance(error, DomainError) else as_domain_error(error, job)
        attempt.fail(told, getattr(error, "result", None))
        raise _for_who_asked(job, deployment, told, attempt.name) from error
    attempt.succeed(result)


def _activation(job: Job, deployment: Deployment) -> Outcome:
    attempt = begin(deployment.pk, "activate", job)
    if attempt is None:
        return _as_it_is(job, deployment)
    try:
        refuse_what_cannot_run(deployment)
    except DomainError as error:
        attempt.fail(error)
        raise
    return Outcome(
        {"deployment_id": deployment.pk, "status": Status.ACTIVE}, store=lambda: attempt.succeed(None, also=activate)
    )


def _as_it_is(job: Job, deployment: Deployment) -> Outcome:
    """What somebody else has made of it: approved, ended; or that it waits."""
    deployment.refresh_from_db()
    if deployment.status in (Status.PENDING, Status.VALIDATING, Status.BACKTESTING):
        raise JobStoppedError  # another worker brings it on
    if deployment.status == Status.FAILED or (deployment.has_ended and not job.task.inputs.get("ends")):
        error = DeploymentStateError(
            f"{deployment.pk} is {deployment.status}: {deployment.reason}", "Deploy the version anew."
        )
        raise _for_who_asked(job, deployment, error, deployment.status)
    return Outcome({"deployment_id": deployment.pk, "status": deployment.status})


def _for_who_asked(job: Job, deployment: Deployment, error: DomainError, where: str) -> DomainError:
    """Operators roll back what they may not read: their task says where it ended, and no figure of the book."""
    who = job.task.created_by
    if who is None or visible_portfolios(who).filter(pk=deployment.portfolio_id).exists():
        return error
    return DeploymentStateError(
        f"{deployment.pk} has ended: {where}.", f"Who may read {deployment.portfolio_id} sees why in {deployment.pk}."
    )
