"""`risk.analyze_all`: every open portfolio at once, divided into chunks over the workers (docs/methods.md)."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.utils import timezone

from apps.portfolios.copying import copy_new_rows, copy_rows
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Portfolio
from apps.portfolios.prices import current_price_version
from apps.portfolios.snapshots import canonical_json
from apps.risk.batches import KIND, Refused, analyze_books
from apps.risk.costs import check_batch_cost
from apps.risk.errors import ChunksFailedError
from apps.risk.many_books import read_books
from apps.tasks.execution import Divided, Job, Outcome
from apps.tasks.models import Task
from apps.tasks.submission import submit_task

CHUNK_KIND = "risk.analyze_chunk"
DEFAULTS: dict[str, Any] = {"window_days": 500, "confidences": [0.95, 0.975, 0.99]}

LARGEST_SHOWN = 10
REFUSED_SHOWN = 500

_METRIC_COLUMNS = (
    "portfolio_id", "task_id", "snapshot_id", "timestamp", "as_of", "method", "confidence", "horizon_days",
    "observations", "currency", "portfolio_value", "var", "var_pct", "expected_shortfall", "expected_shortfall_pct",
)  # fmt: skip
_SNAPSHOT_COLUMNS = ("id", "kind", "portfolio_id", "inputs", "result", "created_at")


def submit_all(parameters: dict[str, Any], user: Any) -> Task:
    """A task over all open portfolios; one of equal parameters that runs on the same books and prices is shared.

    Raises TooExpensiveError.
    """
    check_batch_cost(parameters["window_days"])
    books = Portfolio.objects.filter(closed_at=None).aggregate(count=Count("pk"), bookings=Sum("ledger_version"))
    version = f"{current_price_version()}/{books['count']}/{books['bookings']}"
    return submit_task(KIND, parameters, user=user, data_version=version)


def run_all(job: Job) -> Outcome | Divided:
    """Divides the portfolios in the first run, and joins what became of them in the second."""
    parts = job.parts()
    if parts:
        return Outcome(_joined(job.task, parts))
    # The version is read once: all chunks price their books alike, even while an import goes on.
    version = load_matrix(current_price_version()).version
    chunks = list(_chunks())
    if not chunks:
        return Outcome(_joined(job.task, []))
    return Divided(CHUNK_KIND, [{**job.task.inputs, "price_version": version, "portfolio_ids": ids} for ids in chunks])


def _chunks() -> Iterator[list[str]]:
    """Ids of open portfolios, in order, RISK_CHUNK_PORTFOLIOS and RISK_CHUNK_POSITIONS at most each."""
    counted = Portfolio.objects.filter(closed_at=None).annotate(count=Count("positions")).order_by("pk")
    chunk: list[str] = []
    positions = 0
    for portfolio_id, count in counted.values_list("pk", "count").iterator():
        full = len(chunk) == settings.RISK_CHUNK_PORTFOLIOS or positions + count > settings.RISK_CHUNK_POSITIONS
        if chunk and full:
            yield chunk
            chunk, positions = [], 0
        chunk.append(portfolio_id)
        positions += count
    if chunk:
        yield chunk


def run_chunk(job: Job) -> Outcome:
    """The figures of one chunk's books, stored by COPY in the transaction that ends the part."""
    asked = job.task.inputs
    total = len(asked["portfolio_ids"])
    job.progress(0, total, "reading the books")
    matrix = load_matrix(asked["price_version"])
    books = list(read_books(asked["portfolio_ids"]))
    job.progress(0, total, "computing")
    inputs, results, refused = analyze_books(books, asked, matrix)
    task_id = str(job.task.part_of_id or job.task.pk)
    events = [(f"portfolio:updates:{result['portfolio_id']}", _event(result, task_id)) for result in results]
    summary = {
        "portfolios": total,
        "computed": len(results),
        "refused": [_said(one) for one in refused],
        "largest": _largest(results),
    }
    return Outcome(summary, lambda: _store(task_id, inputs, results), events)


def _store(task_id: str, inputs: list[dict[str, Any]], results: list[dict[str, Any]]) -> None:
    now = timezone.now()
    snapshots = [
        (result["snapshot_id"], KIND, result["portfolio_id"], canonical_json(asked), canonical_json(result), now)
        for asked, result in zip(inputs, results, strict=True)
    ]
    copy_new_rows("portfolios_snapshot", _SNAPSHOT_COLUMNS, snapshots)
    copy_rows("risk_metrics", _METRIC_COLUMNS, _metric_rows(task_id, results, now))


def _metric_rows(task_id: str, results: list[dict[str, Any]], now: Any) -> Iterator[tuple[Any, ...]]:
    for result in results:
        for figures in result["figures"]:
            row = {**result, **figures, "task_id": task_id, "timestamp": now}
            yield tuple(row[name] for name in _METRIC_COLUMNS)


def _event(result: dict[str, Any], task_id: str) -> dict[str, Any]:
    names = ("portfolio_id", "as_of", "method", "figures", "snapshot_id")
    return {"event": "risk.analyzed_with_all", "task_id": task_id, **{name: result[name] for name in names}}


def _said(refused: Refused) -> dict[str, Any]:
    return {"portfolio_id": refused.portfolio_id, **refused.error.as_dict()}


def _largest(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The books that stand to lose the largest part of their value, by the VaR of the highest confidence."""
    rows = [
        {
            **{name: result[name] for name in ("portfolio_id", "as_of", "currency", "portfolio_value")},
            **max(result["figures"], key=lambda figures: figures["confidence"]),
        }
        for result in results
    ]
    return _worst_first(rows)


def _worst_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A book worth nothing or less comes first: it has lost all that a percentage could be of."""
    return sorted(rows, key=lambda row: -row["var_pct"] if row["var_pct"] is not None else float("-inf"))[
        :LARGEST_SHOWN
    ]


def _joined(task: Task, parts: list[Task]) -> dict[str, Any]:
    """Raises ChunksFailedError where a chunk has no result."""
    failed = [part for part in parts if part.status != Task.Status.SUCCEEDED]
    if failed:
        raise _failure(failed, parts)
    summaries = [part.result or {} for part in parts]
    refused = [one for summary in summaries for one in summary["refused"]]
    return {
        **task.inputs,
        "method": "historical",
        "horizon_days": 1,
        "price_version": parts[0].inputs["price_version"] if parts else None,
        "portfolios": sum(summary["portfolios"] for summary in summaries),
        "computed": sum(summary["computed"] for summary in summaries),
        "refused_count": len(refused),
        "refused": refused[:REFUSED_SHOWN],
        "largest": _worst_first([row for summary in summaries for row in summary["largest"]]),
        "chunks": len(parts),
    }


def _failure(failed: list[Task], parts: list[Task]) -> ChunksFailedError:
    first = failed[0]
    ids = first.inputs["portfolio_ids"]
    why = (first.error or {}).get("detail") or f"It was {first.status}."
    return ChunksFailedError(
        f"{len(failed)} of {len(parts)} chunks have no figures, the first of them {ids[0]} to {ids[-1]}: {why} "
        "The figures of the other chunks are stored.",
        f"GET /api/v1/tasks?part_of={first.part_of_id} says what became of each; retry the task when that is mended.",
    )
