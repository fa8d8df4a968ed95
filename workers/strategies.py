"""Strategies: their way to a portfolio, and what they do there."""

from celery import shared_task

from apps.strategies import stuck
from apps.strategies.pipeline.job import run_deploy
from apps.strategies.running import due, gates
from apps.strategies.running.job import run_deployment
from apps.tasks.execution import Job, JobTask, Outcome


@shared_task(name="strategy.deploy", base=JobTask)
def deploy(job: Job) -> Outcome:
    return run_deploy(job)


@shared_task(name="strategy.run", base=JobTask)
def run(job: Job) -> Outcome:
    return run_deployment(job)


@shared_task(name="deployments.run_due")
def run_due() -> int:
    return due.submit_due_runs()


@shared_task(name="deployments.watch")
def watch() -> list[str]:
    return gates.watch_deployments()


@shared_task(name="deployments.clear_stuck")
def clear_stuck() -> list[str]:
    return stuck.clear_stuck_deployments()
