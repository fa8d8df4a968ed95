"""What a run saw, written in one transaction while the turn is still its own: all of it, or nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.portfolios.copying import copy_new_rows
from apps.portfolios.snapshots import canonical_json
from apps.risk.batches import KIND
from apps.risk.events import close_limit_events, close_portfolio_events, record_events
from apps.risk.limit_kinds import LIMIT_KINDS, BookKind
from apps.risk.models import RiskEvent, RiskMetric
from apps.risk.monitor.measures import Record
from apps.risk.monitor.seeing import Seen
from apps.risk.monitor.transitions import ends_events, event_of_limit, events_of_prices
from apps.risk.monitor.turns import Turn, end_turn
from apps.risk.monitor.verdicts import Verdict

_WRITE = (Path(__file__).parents[1] / "sql" / "monitor_write_limits.sql").read_text()
_SNAPSHOT_COLUMNS = ("id", "kind", "portfolio_id", "inputs", "result", "created_at")
_METRIC_COLUMNS = (
    "portfolio_id", "snapshot_id", "timestamp", "as_of", "method", "confidence", "horizon_days", "observations",
    "currency", "portfolio_value", "var", "var_pct", "expected_shortfall", "expected_shortfall_pct",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """`figures`: portfolios whose figures were not stored before; `left`: limits that somebody changed meanwhile."""

    figures: frozenset[str]
    verdicts: Sequence[Verdict]
    left: frozenset[int]


@transaction.atomic
def write(turn: Turn, seen: Seen, seconds: float) -> Written:
    """Raises TurnLostError where another run has taken over, or monitoring was stopped: then nothing is written."""
    in_force = sum(verdict.limit.in_force for verdict in seen.all_verdicts())
    _wait_for_an_interval_at_most()
    end_turn(turn, seconds, len(seen.moment.heads), in_force)
    figures = _store_figures([book.record for book in seen.measured if book.record])
    news = [verdict for verdict in seen.all_verdicts() if verdict.is_news]
    written = _write_limits(news, seen)
    verdicts = [verdict for verdict in news if verdict.limit.id in written]
    _record_limits(verdicts, seen)
    _record_prices(seen)
    return Written(figures, verdicts, frozenset(verdict.limit.id for verdict in news) - written)


def _wait_for_an_interval_at_most() -> None:
    """Somebody who holds a limit's row and does not let go stops this run, and not the workers behind it as well."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{settings.MONITOR_INTERVAL_SECONDS}s"])


def _store_figures(records: Sequence[Record]) -> frozenset[str]:
    """Snapshots and metrics that are not there yet; returns whose they are."""
    ids = [record.result["snapshot_id"] for record in records]
    known = set(RiskMetric.objects.filter(task=None, snapshot__in=ids).values_list("snapshot_id", flat=True))
    new = [record for record in records if record.result["snapshot_id"] not in known]
    if new:
        copy_new_rows("portfolios_snapshot", _SNAPSHOT_COLUMNS, _snapshot_rows(new))
        copy_new_rows("risk_metrics", _METRIC_COLUMNS, _metric_rows(new))
    return frozenset(record.result["portfolio_id"] for record in new)


def _snapshot_rows(records: Sequence[Record]) -> Iterator[tuple[Any, ...]]:
    now = timezone.now()
    for inputs, result in records:
        texts = canonical_json(inputs), canonical_json(result)
        yield (result["snapshot_id"], KIND, result["portfolio_id"], *texts, now)


def _metric_rows(records: Sequence[Record]) -> Iterator[tuple[Any, ...]]:
    now = timezone.now()
    for _, result in records:
        for figures in result["figures"]:
            row = {**result, **figures, "timestamp": now}
            yield tuple(row[name] for name in _METRIC_COLUMNS)


def _write_limits(news: Sequence[Verdict], seen: Seen) -> frozenset[int]:
    """One statement for all rows that changed; returns those that nobody else changed meanwhile."""
    if not news:
        return frozenset()
    parameters: dict[str, Any] = {
        "now": seen.moment.now,
        "ids": [verdict.limit.id for verdict in news],
        "row_versions": [verdict.limit.row_version for verdict in news],
        "statuses": [str(verdict.status) for verdict in news],
        "reasons": [verdict.reason for verdict in news],
        "values": [verdict.value for verdict in news],
    }
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, parameters)
        return frozenset(limit_id for (limit_id,) in cursor.fetchall())


def _record_limits(verdicts: Sequence[Verdict], seen: Seen) -> None:
    over = [verdict.limit.id for verdict in verdicts if ends_events(verdict)]
    if over:
        close_limit_events(over)
    told = (event_of_limit(verdict, _as_of(verdict, seen), seen.moment.now) for verdict in verdicts)
    record_events([event for event in told if event])


def _as_of(verdict: Verdict, seen: Seen) -> date | None:
    standing = seen.standings.get(verdict.limit.portfolio_id)
    is_of_book = isinstance(LIMIT_KINDS[verdict.limit.kind], BookKind)
    return standing.book.as_of if standing and is_of_book else None


def _record_prices(seen: Seen) -> None:
    told = seen.moment.stale
    events = list(events_of_prices(seen.standings, seen.moment.limits, told))
    fresh = {str(event.portfolio_id) for event in events if event.event_type == RiskEvent.Type.PRICES_FRESH}
    over = sorted(fresh | (told - seen.standings.keys()))
    if over:
        close_portfolio_events(over, [RiskEvent.Type.PRICES_STALE])
    record_events(events)
