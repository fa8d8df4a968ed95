from celery import shared_task

from apps.risk.analysis import run_analysis
from apps.tasks.execution import Job, JobTask, Outcome


@shared_task(name="risk.analyze", base=JobTask)
def analyze(job: Job) -> Outcome:
    return run_analysis(job)
