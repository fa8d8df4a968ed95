"""The table `websocket_metrics`: a row a process and minute, and the last day as a chart."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from apps.realtime.models import WebsocketMetric
from apps.realtime.statistics import COUNTERS, process_stats

CHART_SPAN = timedelta(hours=24)
CHART_STEP = timedelta(minutes=15)

_GAUGES = ("process", "hub", "active", "queue_depth", "messages_per_second", "topics")


def record_metrics(reports: Iterable[Mapping[str, Any]], now: datetime | None = None) -> int:
    """Stores a row of each process for this minute, once however often it is called; answers with how many are new."""
    minute = (now or timezone.now()).replace(second=0, microsecond=0)
    before = WebsocketMetric.objects.filter(timestamp=minute).count()
    rows = [_row(process_stats(report), minute) for report in reports]
    WebsocketMetric.objects.bulk_create(rows, ignore_conflicts=True)
    return WebsocketMetric.objects.filter(timestamp=minute).count() - before


def last_day(now: datetime | None = None) -> list[tuple[datetime, int | None, float | None]]:
    """Of each quarter of an hour of the last day its most open sockets and messages/s, over all processes.

    Both are None where no process was seen: that is no zero.
    """
    now = now or timezone.now()
    most: dict[datetime, tuple[int, float]] = {}
    for minute, active, rate in _minutes(now - CHART_SPAN):
        quarter = _quarter(minute)
        seen = most.get(quarter, (0, 0.0))
        most[quarter] = (max(seen[0], active), max(seen[1], rate))
    steps = int(CHART_SPAN / CHART_STEP)
    quarters = [_quarter(now) - CHART_STEP * back for back in reversed(range(steps))]
    return [(quarter, *most.get(quarter, (None, None))) for quarter in quarters]


def _minutes(since: datetime) -> Any:
    rows = WebsocketMetric.objects.filter(timestamp__gte=since).order_by("timestamp").values_list("timestamp")
    return rows.annotate(Sum("active"), Sum("messages_per_second"))


def _quarter(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


def _row(stats: Mapping[str, Any], minute: datetime) -> WebsocketMetric:
    latencies = {f"latency_{name}_ms": value for name, value in stats["latency_ms"].items()}
    return WebsocketMetric(timestamp=minute, **{name: stats[name] for name in (*_GAUGES, *COUNTERS)}, **latencies)
