"""The book: how old its figures are, how near its limits, what is open."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.backends.utils import CursorWrapper
from django.db.models import Count
from prometheus_client import Metric

from apps.operations.checks.risk_monitoring import read_freshness
from apps.operations.metrics.families import gauge, single
from apps.operations.metrics.sources.querying import reading, rows_of, statement
from apps.operations.metrics.sources.registry import register_source
from apps.portfolios.models import Portfolio
from apps.portfolios.reservations import live_reservations
from apps.risk.models import AlertDelivery, RiskEvent, Severity
from apps.risk.monitoring import count_limits

# Portfolios that have series of their own, the first by id; figures over all of them come beside.
MOST_PORTFOLIOS = 500

_WAITING = """
    SELECT kind, status, count(*), coalesce(max(extract(epoch FROM clock_timestamp() - created_at)), 0)::float8
    FROM risk_alert_deliveries WHERE status IN ('pending', 'sending') GROUP BY kind, status
"""
_OLDEST_VAR = """
    SELECT extract(epoch FROM clock_timestamp() - max(timestamp))::float8 FROM risk_metrics
"""


@register_source("risk")
def risk() -> Iterator[Metric]:
    with reading() as cursor:
        yield from _var_ages(cursor)
        yield from _limits(cursor)
        yield from _monitor()
        yield from _events()
        yield from _deliveries(cursor)
        yield single("reservations_open", "Reservations that hold room now", live_reservations().count())
        active = Portfolio.objects.filter(closed_at=None).count()
        yield single("portfolios_open", "Portfolios that are not closed", active)


def _var_ages(cursor: CursorWrapper) -> Iterator[Metric]:
    ages = rows_of(cursor, statement("var_age"), {"most": MOST_PORTFOLIOS})
    yield gauge(
        "var_age_seconds",
        f"Since the newest stored VaR of a portfolio that holds something; of {MOST_PORTFOLIOS} portfolios at the most",
        ["portfolio"],
        [((portfolio,), age) for portfolio, age in ages],
    )
    ((newest,),) = rows_of(cursor, _OLDEST_VAR)
    yield single("var_newest_age_seconds", "Since any VaR was stored", newest)


def _limits(cursor: CursorWrapper) -> Iterator[Metric]:
    counted = count_limits(Portfolio.objects.all())
    counted.pop("total")
    yield gauge(
        "limits", "Limits in force, by status", ["status"], [((name,), number) for name, number in counted.items()]
    )
    usage = rows_of(cursor, statement("limit_usage"), {"most": MOST_PORTFOLIOS})
    yield gauge(
        "limit_usage_ratio",
        f"Value / threshold of the fullest limit of a kind; of {MOST_PORTFOLIOS} portfolios at the most, 14 kinds",
        ["portfolio", "kind"],
        [((portfolio, kind), ratio) for portfolio, kind, ratio in usage],
    )


def _monitor() -> Iterator[Metric]:
    freshness = read_freshness()
    if freshness is None:  # it has never run: there is nothing to tell
        return
    yield single("risk_monitoring_enabled", "1 where the limits shall be monitored", float(freshness.monitor.enabled))
    yield single("risk_monitoring_lag_seconds", "Since the last whole run began", freshness.lag_seconds)
    yield single("risk_monitoring_interval_seconds", "How often it runs", settings.MONITOR_INTERVAL_SECONDS)
    yield single("risk_monitoring_run_seconds", "How long the last whole run took", freshness.monitor.last_run_seconds)
    yield single("risk_monitoring_failing", "1 where the latest run has failed", float(freshness.failure is not None))
    stalled = float(freshness.stalled)
    yield single("risk_monitoring_stalled", "1 where it shall run and has not for three intervals", stalled)


def _events() -> Iterator[Metric]:
    rows: Any = RiskEvent.objects.filter(closed_at=None, acknowledged_at=None).order_by().values_list("severity")
    counted = dict(rows.annotate(Count("pk")))
    named = [((severity,), counted.get(severity, 0)) for severity in Severity.values]
    yield gauge("risk_events_open", "Risk events that go on and that nobody has acknowledged", ["severity"], named)


def _deliveries(cursor: CursorWrapper) -> Iterator[Metric]:
    waiting = {(kind, status): (number, age) for kind, status, number, age in rows_of(cursor, _WAITING)}
    kinds, statuses = AlertDelivery._meta.get_field("kind").choices or (), ("pending", "sending")
    keys = [(kind, status) for kind, _ in kinds for status in statuses]
    counts = [(key, waiting.get(key, (0, 0.0))[0]) for key in keys]
    yield gauge("alert_deliveries_waiting", "Alerts that are still to be delivered", ["kind", "status"], counts)
    ages = [((kind,), max(waiting.get((kind, status), (0, 0.0))[1] for status in statuses)) for kind, _ in kinds]
    yield gauge("alert_delivery_oldest_seconds", "How long the oldest of them waits", ["kind"], ages)
