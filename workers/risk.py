from celery import shared_task

from apps.risk.all_portfolios import run_all, run_chunk
from apps.risk.analysis import run_analysis
from apps.risk.backtests import run_backtest
from apps.risk.comparison import run_comparison
from apps.risk.stress import run_stress
from apps.tasks.execution import Divided, Job, JobTask, Outcome


@shared_task(name="risk.analyze", base=JobTask)
def analyze(job: Job) -> Outcome:
    return run_analysis(job)


@shared_task(name="risk.compare", base=JobTask)
def compare(job: Job) -> Outcome:
    return run_comparison(job)


@shared_task(name="risk.backtest", base=JobTask)
def backtest(job: Job) -> Outcome:
    return run_backtest(job)


@shared_task(name="risk.stress", base=JobTask)
def stress(job: Job) -> Outcome:
    return run_stress(job)


@shared_task(name="risk.analyze_all", base=JobTask)
def analyze_all(job: Job) -> Outcome | Divided:
    return run_all(job)


@shared_task(name="risk.analyze_chunk", base=JobTask)
def analyze_chunk(job: Job) -> Outcome:
    return run_chunk(job)
