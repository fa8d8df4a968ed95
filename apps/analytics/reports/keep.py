"""`analytics.report`: the tear sheet of a portfolio's latest performance, made by a task and kept."""

import hashlib
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.analytics.models import AnalyticsMetric, Report
from apps.analytics.performance import latest_performance
from apps.analytics.reports.files import STEPS, make_files
from apps.analytics.reports.sheet import make_sheet
from apps.portfolios.access import get_visible_portfolio
from apps.portfolios.models import Portfolio
from apps.portfolios.prices import current_price_version
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task
from apps.tasks.submission import submit_task
from nautilus.api.errors import ConflictError, NotFoundError

KIND = "analytics.report"

_FIRST_STEPS = ("reading the performance", "reading prices, ledger and limits")


class ReportFailedError(ConflictError):
    """A client that polls for the file would have it tried for ever."""

    code = "report_failed"


def check_reader_of(user: Any, portfolio_id: str | None) -> None:
    """Raises where the user may not read this portfolio, and so may have no report of it made."""
    get_visible_portfolio(user, portfolio_id or "")


def reported_performance(portfolio: Portfolio) -> AnalyticsMetric:
    """The one that a report is of: the latest. Raises NotFoundError where none is stored."""
    metric = latest_performance(portfolio)
    if metric is None:
        raise NotFoundError(
            f"No performance of {portfolio.id} is stored, so there is nothing to report.",
            "POST /api/v1/sprint3/analytics/performance computes one.",
        )
    return metric


def kept_report(metric: AnalyticsMetric, file_format: str) -> Report | None:
    """Without its content: who has the file already need not be sent it."""
    return Report.objects.filter(metric=metric, format=file_format).select_related("metric").defer("content").first()


def submit_report(metric: AnalyticsMetric, user: Any) -> Task:
    """Makes the files of all formats, anew where there are some: positions and limits are those of then.

    A task that runs already is shared only where the book and the prices have not changed since it was asked for.
    """
    version = f"{metric.portfolio.ledger_version}/{current_price_version()}"
    inputs = {"metric_id": metric.pk}
    return submit_task(KIND, inputs, user=user, portfolio_id=metric.portfolio_id, data_version=version)


def submit_first_report(metric: AnalyticsMetric, user: Any) -> Task:
    """As submit_report, for one that is not kept. Raises ReportFailedError where making it has failed before."""
    tasks = Task.objects.filter(kind=KIND, portfolio_id=metric.portfolio_id, inputs__metric_id=metric.pk)
    last = tasks.filter(created_at__gte=metric.timestamp).order_by("-created_at").first()
    if last is not None and last.status == Task.Status.FAILED:
        error = last.error or {}
        raise ReportFailedError(
            f"The report could not be made (task {last.pk}): {error.get('detail', 'no reason is known.')}",
            f"{error.get('remedy', '')} POST to this path tries again.".strip(),
        )
    return submit_report(metric, user)


def run_report(job: Job) -> Outcome:
    steps = [*_FIRST_STEPS, *STEPS]

    def say(step: str) -> None:
        job.progress(steps.index(step), len(steps), step)

    say(_FIRST_STEPS[0])
    metric = _metric_of(job.task)
    made_at = timezone.now()
    say(_FIRST_STEPS[1])
    files = make_files(make_sheet(metric, made_at), made_at, say)
    reports = [_report(job.task, metric, name, content, made_at) for name, content in files.items()]
    return Outcome(_result(metric, reports), lambda: _store(reports), [_event(job.task, metric)])


def _metric_of(task: Task) -> AnalyticsMetric:
    metric_id = task.inputs["metric_id"]
    metrics = AnalyticsMetric.objects.select_related("portfolio", "snapshot")
    metric = metrics.filter(pk=metric_id, portfolio=task.portfolio_id).first()
    if metric is None:
        raise NotFoundError(f"Performance {metric_id} of {task.portfolio_id} is stored no more.", "Ask for the latest.")
    return metric


def _report(task: Task, metric: AnalyticsMetric, name: str, content: bytes, made_at: datetime) -> Report:
    return Report(
        portfolio=metric.portfolio,
        metric=metric,
        task=task,
        format=name,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        created_at=made_at,
    )


def _result(metric: AnalyticsMetric, reports: list[Report]) -> dict[str, Any]:
    return {
        "portfolio_id": metric.portfolio_id,
        "performance_task_id": str(metric.task_id) if metric.task_id else None,
        "start_date": str(metric.start_date),
        "end_date": str(metric.end_date),
        "snapshot_id": metric.snapshot_id,
        "files": [_file(report) for report in reports],
    }


def _file(report: Report) -> dict[str, Any]:
    path = f"/api/v1/sprint3/analytics/performance/{report.portfolio_id}/report"
    return {
        "format": report.format,
        "file_name": report.file_name,
        "size_bytes": report.size_bytes,
        "sha256": report.sha256,
        "url": f"{path}?format={report.format}",
    }


def _event(task: Task, metric: AnalyticsMetric) -> tuple[str, dict[str, Any]]:
    event = {"event": "report.made", "task_id": str(task.pk), "portfolio_id": metric.portfolio_id}
    return f"analytics:updates:{metric.portfolio_id}", event


def _store(reports: list[Report]) -> None:
    """In the place of older files; where another task has stored newer ones meanwhile, those stay."""
    made_at = reports[0].created_at
    _wait_for_others(reports[0].metric_id)
    if Report.objects.filter(metric=reports[0].metric_id, created_at__gt=made_at).exists():
        return
    Report.objects.bulk_create(
        reports,
        update_conflicts=True,
        unique_fields=["metric", "format"],
        update_fields=["task", "content", "sha256", "size_bytes", "created_at"],
    )
    _forget_older(reports[0].portfolio_id)


def _wait_for_others(metric_id: int) -> None:
    """One at a time for a performance. Not by its row: TimescaleDB locks none of a compressed chunk."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('analytics_reports'), %s)", [metric_id % 2**31])


def _forget_older(portfolio_id: str) -> None:
    """Keeps the reports of the portfolio's latest performances that have one."""
    reported = AnalyticsMetric.objects.filter(portfolio=portfolio_id, reports__isnull=False).distinct()
    kept = reported.values_list("pk", "timestamp")[: settings.REPORTS_KEPT]
    Report.objects.filter(portfolio=portfolio_id).exclude(metric__in=[pk for pk, _ in kept]).delete()
