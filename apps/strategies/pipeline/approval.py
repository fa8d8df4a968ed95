"""Live deployments wait for somebody else."""

from django.db import transaction
from django.utils import timezone

from apps.strategies.models import Deployment, DeploymentStep
from apps.strategies.pipeline.progress import hold_in_pipeline
from apps.strategies.states import move, tell, with_line, write

Status = Deployment.Status
Step = DeploymentStep.Status


@transaction.atomic
def await_approval(deployment_id: str) -> bool:
    """Whether it is approved; else it waits from now on. Raises DeploymentEndedError."""
    deployment = hold_in_pipeline(deployment_id)
    step = deployment.steps.get(name="approval")
    if step.status == Step.SUCCEEDED:
        return True
    if deployment.status != Status.AWAITING_APPROVAL:
        move(deployment, Status.AWAITING_APPROVAL)
        log = with_line(step.log, "waits for somebody else with the role 'risk_manager' or 'admin'")
        write(step, status=Step.RUNNING, started_at=timezone.now(), attempts=step.attempts + 1, log=log)
        tell(deployment, "deployment.awaiting_approval")
    return False
