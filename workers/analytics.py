from celery import shared_task

from apps.analytics.performance import run_performance
from apps.analytics.reports.keep import run_report
from apps.portfolios.price_import import run_price_import
from apps.portfolios.replays import run_replay
from apps.tasks.execution import Job, JobTask, Outcome


@shared_task(name="calculate_portfolio_performance", base=JobTask)
def calculate_portfolio_performance(job: Job) -> Outcome:
    return run_performance(job)


@shared_task(name="market_data.import", base=JobTask)
def import_market_data(job: Job) -> Outcome:
    return run_price_import(job)


@shared_task(name="snapshots.replay", base=JobTask)
def replay_snapshot(job: Job) -> Outcome:
    return run_replay(job)


@shared_task(name="analytics.report", base=JobTask)
def make_report(job: Job) -> Outcome:
    return run_report(job)
