"""The first page: every portfolio with what it is worth, what it may lose, against its limits, and what is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from redis.exceptions import RedisError

from apps.analytics.streaming.status import streaming_status
from apps.dashboard.latest import LIVE_EVENT, newest_data
from apps.dashboard.pages.page import Page
from apps.portfolios.access import visible_portfolios
from apps.portfolios.feed import feed_status
from apps.portfolios.holdings import Valuation, value_portfolios
from apps.portfolios.models import Portfolio, PortfolioData
from apps.risk.limits import ShownStatus, limits_as_shown, shown_status
from apps.risk.models import RiskEvent, RiskLimit
from apps.risk.monitoring import Freshness, monitor_freshness
from nautilus.api.access import has_role, sees_every_portfolio
from nautilus.connections import impatient_redis_client

SPARK_DAYS = 60
ALERTS_SHOWN = 20
# The limits that stand beside the portfolio's figures as bars, and the figure that each bounds.
BARS = (("var_99", "var_99", "VaR 99 %"), ("expected_shortfall_975", "expected_shortfall_975", "ES 97.5 %"))
WORST_FIRST = ("breach", "warning", "unknown", "ok")


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure against its limit; `threshold` is None where there is no such limit."""

    name: str
    title: str
    current: float | None
    threshold: float | None
    warning: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """`figures` are the newest that were published; without any, `value` is that at the last closes, `as_of`."""

    portfolio: Portfolio
    figures: dict[str, Any]
    value: float | None
    why_no_value: str | None
    as_of: date | None
    bars: tuple[Bar, ...]
    spark: list[float]
    status: str
    status_reason: str


class OverviewPage(Page):
    title = "Overview"
    entry = "overview"
    roles = ("viewer",)
    template_name = "dashboard/overview.html"
    fragments = {
        "alerts": "dashboard/overview/alerts.html",
        "portfolios": "dashboard/overview/portfolios.html",
        "freshness": "dashboard/overview/freshness.html",
    }

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """An operator runs the system and reads no book: theirs is another first page."""
        if has_role(request.user, "operator") and not has_role(request.user, "viewer"):
            return HttpResponseRedirect(reverse("dashboard:operations"))
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        portfolios = list(visible_portfolios(self.request.user).filter(closed_at=None).order_by("id"))
        monitor = monitor_freshness()
        return super().get_context_data(**kwargs) | {
            "rows": _rows(portfolios, monitor),
            "alerts": _alerts(portfolios),
            "monitor": monitor,
            "feed": feed_status(),
            "engine": _engine(),
            "stale_seconds": settings.FEED_STALE_SECONDS,
            "to_follow": _to_follow(self.request.user, portfolios),
        }


def _rows(portfolios: list[Portfolio], monitor: Freshness) -> list[Row]:
    valuations = value_portfolios(portfolios)
    newest = newest_data((f"analytics:updates:{portfolio.id}" for portfolio in portfolios), LIVE_EVENT)
    sparks = _sparks(portfolios)
    limits = _limits(portfolios)
    return [
        _row(
            portfolio,
            valuations[portfolio.id],
            newest.get(f"analytics:updates:{portfolio.id}", {}),
            limits.get(portfolio.id, []),
            sparks.get(portfolio.id, []),
            monitor,
        )
        for portfolio in portfolios
    ]


def _row(
    portfolio: Portfolio,
    valuation: Valuation,
    figures: dict[str, Any],
    limits: list[RiskLimit],
    spark: list[float],
    monitor: Freshness,
) -> Row:
    worst = min(
        (shown_status(limit, monitor) for limit in limits),
        key=lambda shown: WORST_FIRST.index(shown.status),
        default=ShownStatus("none", "no limit is set"),
    )
    return Row(
        portfolio,
        figures,
        figures.get("value", valuation.value),
        (figures.get("reasons") or {}).get("value") or valuation.reason,
        valuation.as_of,
        tuple(_bar(name, kind, title, figures, limits) for name, kind, title in BARS),
        spark,
        worst.status,
        worst.reason or "",
    )


def _bar(name: str, kind: str, title: str, figures: dict[str, Any], limits: list[RiskLimit]) -> Bar:
    limit = next((limit for limit in limits if limit.kind == kind), None)
    if limit is None:
        return Bar(name, title, figures.get(name), None, None)
    current = figures.get(name, limit.current_value)
    return Bar(name, title, current, limit.threshold_value, limit.warning_threshold)


def _limits(portfolios: Iterable[Portfolio]) -> dict[str, list[RiskLimit]]:
    found: dict[str, list[RiskLimit]] = {}
    for limit in limits_as_shown().filter(portfolio__in=list(portfolios), active=True):
        found.setdefault(limit.portfolio_id, []).append(limit)
    return found


def _sparks(portfolios: list[Portfolio]) -> dict[str, list[float]]:
    """The values of the last days, oldest first, by portfolio."""
    by_age = Window(RowNumber(), partition_by="portfolio_id", order_by="-date")
    rows = PortfolioData.objects.filter(portfolio__in=portfolios).annotate(age=by_age).filter(age__lte=SPARK_DAYS)
    found: dict[str, list[float]] = {}
    for portfolio_id, value in rows.order_by("portfolio_id", "date").values_list("portfolio_id", "value"):
        found.setdefault(portfolio_id, []).append(value)
    return found


def _alerts(portfolios: list[Portfolio]) -> list[RiskEvent]:
    """What goes on, and what nobody has acknowledged yet; the newest first."""
    raised = RiskEvent.objects.filter(portfolio__in=portfolios) | RiskEvent.objects.filter(portfolio=None)
    waiting = raised.filter(acknowledged_at=None, severity__in=("warning", "critical")).exclude(event_type="test")
    return list(waiting.select_related("portfolio").order_by("-timestamp", "-id")[:ALERTS_SHOWN])


def _engine() -> dict[str, Any]:
    try:
        return streaming_status(impatient_redis_client())
    except (RedisError, OSError):
        return {"status": "stopped", "last_update_at": None, "reason": "Redis cannot be reached."}


def _to_follow(user: Any, portfolios: list[Portfolio]) -> dict[str, list[str]]:
    """The topics: a pattern is for those who see every portfolio."""
    if sees_every_portfolio(user):
        return {"figures": ["analytics:updates:*"], "alerts": ["risk:alerts:*"]}
    names = [portfolio.id for portfolio in portfolios]
    return {
        "figures": [f"analytics:updates:{name}" for name in names],
        "alerts": [f"risk:alerts:{name}" for name in (*names, "all")],
    }
