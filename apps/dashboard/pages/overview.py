"""The first page: every portfolio with what it is worth, what it may lose, against its limits, and what is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from apps.dashboard.pages.page import Page
from apps.dashboard.pages.portfolio_head import Figure, Known, engine_status, known_figures
from apps.dashboard.pages.trading import TradingInForce, trading_in_force
from apps.portfolios.access import visible_portfolios
from apps.portfolios.feed import FeedStatus, feed_status
from apps.portfolios.models import Portfolio, PortfolioData
from apps.risk.halting import halt_in_force
from apps.risk.limits import ShownStatus, shown_status
from apps.risk.models import RiskEvent, RiskLimit, TradingHalt
from apps.risk.monitoring import Freshness, in_force, monitor_freshness
from nautilus.api.access import has_role, sees_every_portfolio

SPARK_DAYS = 60
ALERTS_SHOWN = 20
REFRESH_SECONDS = 25
# Of the ages above the table: what is read less often than it grows stale looks stale without being it.
FRESHNESS_SECONDS = 4
# Topics of a socket beside the portfolios': alerts about all of them, and the health that js/live.js listens to.
OTHER_TOPICS = 2
# The limits that stand beside the portfolio's figures as bars, named as the figures that they bound.
BARS = {"var_99": "VaR 99 %", "expected_shortfall_975": "ES 97.5 %"}
WORST_FIRST = ("breach", "warning", "unknown", "ok")


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure against the tightest limit in force of its kind; `threshold` is None where there is none."""

    figure: Figure
    threshold: float | None
    warning: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """`quoted_at` is the newest quote in the figures; `without_quote` says what they are of where there is none."""

    portfolio: Portfolio
    trading: TradingInForce
    value: Figure
    day_pnl: Figure
    day_pnl_pct: Figure
    bars: tuple[Bar, ...]
    spark: list[float]
    status: str
    status_reason: str
    quoted_at: str | None
    without_quote: str
    is_ageless: bool
    why_no_quote: str


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
        return super().get_context_data(**kwargs) | {"shown": Shown(self.request.user)}


class Shown:
    """What the page shows, each part read when a template asks for it: a fragment asks for its own alone."""

    refresh_seconds = REFRESH_SECONDS

    def __init__(self, user: Any) -> None:
        self._user = user
        self._open = visible_portfolios(user).filter(closed_at=None).order_by("id")

    @property
    def stale_seconds(self) -> float:
        return settings.FEED_STALE_SECONDS

    @cached_property
    def rows(self) -> list[Row]:
        return _rows(list(self._open), self.monitor)

    @cached_property
    def halt(self) -> TradingHalt | None:
        """Of all portfolios, where it keeps any from trading."""
        halt = halt_in_force()
        return halt if halt and halt.trading_state != Portfolio.TradingState.ACTIVE else None

    @cached_property
    def monitor(self) -> Freshness:
        return monitor_freshness()

    @cached_property
    def feed(self) -> FeedStatus:
        return feed_status()

    @cached_property
    def engine(self) -> dict[str, Any]:
        return engine_status()

    @cached_property
    def alerts(self) -> list[RiskEvent]:
        return list(self._waiting.select_related("portfolio").order_by("-timestamp", "-id")[:ALERTS_SHOWN])

    @cached_property
    def alerts_left(self) -> int:
        """How many wait beside those that are shown."""
        return max(self._waiting.count() - ALERTS_SHOWN, 0) if len(self.alerts) == ALERTS_SHOWN else 0

    @property
    def _waiting(self) -> QuerySet[RiskEvent]:
        """What nobody has acknowledged yet, whether it goes on or not."""
        raised = RiskEvent.objects.filter(Q(portfolio__in=self._open) | Q(portfolio=None))
        return raised.filter(acknowledged_at=None, severity__in=("warning", "critical")).exclude(event_type="test")

    @cached_property
    def followed(self) -> list[str]:
        """The portfolios whose topics the page follows; a pattern is for those who see every portfolio."""
        if sees_every_portfolio(self._user):
            return ["*"]
        most = max(settings.WEBSOCKET_MAX_SUBSCRIPTIONS - OTHER_TOPICS, 0) // 2  # figures and alerts of each
        return list(self._open.values_list("id", flat=True)[:most])

    @property
    def is_partly_live(self) -> bool:
        return self.followed != ["*"] and len(self.followed) < len(self.rows)

    @property
    def for_script(self) -> dict[str, Any]:
        about_all = [] if self.followed == ["*"] else ["risk:alerts:all"]
        return {
            "figures": [f"analytics:updates:{name}" for name in self.followed],
            "alerts": [*(f"risk:alerts:{name}" for name in self.followed), *about_all],
            "refresh_seconds": REFRESH_SECONDS,
            "freshness_seconds": max(1.0, min(FRESHNESS_SECONDS, self.monitor.patience.total_seconds() / 2)),
        }


def _rows(portfolios: list[Portfolio], monitor: Freshness) -> list[Row]:
    figures = known_figures(portfolios)
    trading = trading_in_force(portfolios)
    sparks = _sparks(portfolios)
    limits = _limits(portfolios, monitor)
    return [
        _row(
            portfolio,
            trading[portfolio.id],
            figures[portfolio.id],
            limits=limits.get(portfolio.id, []),
            spark=sparks.get(portfolio.id, []),
            monitor=monitor,
        )
        for portfolio in portfolios
    ]


def _row(
    portfolio: Portfolio,
    trading: TradingInForce,
    known: Known,
    *,
    limits: list[RiskLimit],
    spark: list[float],
    monitor: Freshness,
) -> Row:
    worst = min(
        (shown_status(limit, monitor) for limit in limits),
        key=lambda shown: WORST_FIRST.index(shown.status),
        default=ShownStatus("none", ""),
    )
    return Row(
        portfolio=portfolio,
        trading=trading,
        value=known.figure("value", "Value"),
        day_pnl=known.figure("day_pnl", "Day P&L", "change"),
        day_pnl_pct=known.figure("day_pnl_pct", "Day P&L", "percentChange"),
        bars=tuple(_bar(name, title, known, limits) for name, title in BARS.items()),
        spark=spark,
        status=worst.status,
        status_reason=worst.reason or "",
        quoted_at=known.figures.get("quoted_at"),
        without_quote=known.without_quote,
        is_ageless=known.is_ageless,
        why_no_quote=known.reasons.get("quoted_at", ""),
    )


def _bar(name: str, title: str, known: Known, limits: Iterable[RiskLimit]) -> Bar:
    figure = known.figure(name, title)
    of_kind = (limit for limit in limits if limit.kind == name)
    tightest = min(of_kind, key=lambda limit: limit.threshold_value, default=None)
    if tightest is None:
        return Bar(figure, None, None)
    if name not in known.figures:
        figure = replace(figure, value=tightest.current_value)
    return Bar(figure, tightest.threshold_value, tightest.warning_threshold)


def _limits(portfolios: list[Portfolio], monitor: Freshness) -> dict[str, list[RiskLimit]]:
    found: dict[str, list[RiskLimit]] = {}
    for limit in RiskLimit.objects.filter(in_force(monitor.now), portfolio__in=portfolios):
        found.setdefault(limit.portfolio_id, []).append(limit)
    return found


def _sparks(portfolios: list[Portfolio]) -> dict[str, list[float]]:
    """The values of the last days, oldest first, by portfolio: by its index, not by all of its history."""
    newest = PortfolioData.objects.filter(portfolio=OuterRef("pk")).order_by("-date").values("value")[:SPARK_DAYS]
    rows = Portfolio.objects.filter(pk__in=[portfolio.id for portfolio in portfolios])
    found = rows.order_by().annotate(values=ArraySubquery(newest)).values_list("id", "values")
    return {portfolio_id: values[::-1] for portfolio_id, values in found}
