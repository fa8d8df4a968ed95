"""One portfolio: what it is worth, what it may lose and by whom, against its limits; and the jobs that compute it."""

from datetime import date
from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from apps.analytics.performance import KIND as PERFORMANCE
from apps.dashboard.pages.choosing import remembered_portfolio, visited_portfolio
from apps.dashboard.pages.page import Page
from apps.dashboard.pages.portfolio_book import BOOK_FRAGMENTS, book_context
from apps.dashboard.pages.portfolio_head import Head, engine_status, read_head
from apps.dashboard.pages.portfolio_history import FIRST_RANGE, History, read_history
from apps.dashboard.pages.portfolio_results import (
    ANALYSIS,
    BACKTEST,
    STRESS,
    Components,
    Computed,
    StoredFigures,
    StressRow,
    backtest_chart,
    components_of,
    hit_days,
    method_choices,
    newest_analysis,
    newest_backtest,
    newest_stress,
    read_stored,
    stress_rows,
)
from apps.dashboard.pages.portfolio_scenarios import Histogram, histogram_of
from apps.dashboard.pages.trading import TradingInForce, trading_in_force
from apps.portfolios.feed import FeedStatus, feed_status
from apps.portfolios.models import Portfolio
from apps.risk.methods import METHODS
from apps.risk.scenarios import SCENARIOS
from apps.tasks.models import Task
from apps.tasks.queries import visible_tasks

_FOLDER = "dashboard/portfolio"
# The jobs that are started here, as people call them.
JOBS = {
    ANALYSIS: "Analysis",
    STRESS: "Stress test",
    BACKTEST: "Backtest",
    PERFORMANCE: "Performance",
}
RUNNING_SHOWN = 5


class PortfolioPage(Page):
    title = "Portfolio"
    entry = "portfolio"
    roles = ("viewer",)
    template_name = "dashboard/portfolio.html"
    fragments = {
        "standing": f"{_FOLDER}/head_standing.html",
        "figures": f"{_FOLDER}/head.html",
        "value": f"{_FOLDER}/value.html",
        "stored": f"{_FOLDER}/var_stored.html",
        "backtest": f"{_FOLDER}/var_backtest.html",
        "components": f"{_FOLDER}/components.html",
        "scenarios": f"{_FOLDER}/scenarios.html",
        "stress": f"{_FOLDER}/stress.html",
        **BOOK_FRAGMENTS,
    }

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "portfolio_id" in kwargs:
            self.portfolio: Portfolio | None = visited_portfolio(request, kwargs["portfolio_id"])
            return super().get(request, *args, **kwargs)
        self.portfolio = remembered_portfolio(request)
        if self.portfolio is None:
            return super().get(request, *args, **kwargs)
        return HttpResponseRedirect(reverse("dashboard:portfolio", args=[self.portfolio.id]))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if self.portfolio is None:
            return context
        return {
            **context,
            **book_context(self.portfolio, self.request),
            "title": self.portfolio.id,
            "portfolio": self.portfolio,
            "shown": Shown(self.portfolio, self.request),
        }


class Shown:
    """What the page shows, each part read when a template asks for it: a fragment asks for its own alone."""

    def __init__(self, portfolio: Portfolio, request: HttpRequest) -> None:
        self.portfolio = portfolio
        self.user = request.user
        self._asked = request.GET

    @cached_property
    def head(self) -> Head:
        return read_head(self.portfolio)

    @property
    def trading(self) -> TradingInForce:
        return trading_in_force([self.portfolio])[self.portfolio.id]

    @cached_property
    def engine(self) -> dict[str, Any]:
        return engine_status()

    @cached_property
    def feed(self) -> FeedStatus:
        return feed_status()

    @cached_property
    def history(self) -> History | None:
        return read_history(self.portfolio, self._asked.get("range", FIRST_RANGE))

    @cached_property
    def stored(self) -> StoredFigures:
        return read_stored(self.portfolio, self._asked.get("confidence", ""))

    @cached_property
    def analysis(self) -> Computed | None:
        return newest_analysis(self.portfolio, self._asked.get("snapshot", ""))

    @cached_property
    def components(self) -> Components | None:
        return components_of(self.analysis.result) if self.analysis else None

    @cached_property
    def histogram(self) -> Histogram | None:
        return histogram_of(self.analysis) if self.analysis else None

    @property
    def scenarios_chart(self) -> dict[str, Any] | None:
        return self.histogram.chart(self.analysis) if self.histogram and self.analysis else None

    @cached_property
    def stress(self) -> Computed | None:
        return newest_stress(self.portfolio, self._asked.get("snapshot", ""))

    @cached_property
    def stress_rows(self) -> list[StressRow]:
        return stress_rows(self.stress.result) if self.stress else []

    @cached_property
    def backtest(self) -> Computed | None:
        return newest_backtest(self.portfolio, self._asked.get("snapshot", ""))

    @property
    def backtest_chart(self) -> dict[str, Any] | None:
        return backtest_chart(self.backtest.result) if self.backtest else None

    @cached_property
    def hit_days(self) -> list[dict[str, Any]]:
        return hit_days(self.backtest.result) if self.backtest else []

    @cached_property
    def running(self) -> list[dict[str, Any]]:
        """Jobs of this portfolio that go on, as a page that is opened anew goes on to follow them."""
        going_on = visible_tasks(self.user).filter(
            portfolio_id=self.portfolio.id, kind__in=JOBS, status=Task.Status.PROCESSING
        )
        rows = going_on.order_by("-created_at").values("id", "kind", "created_at")[:RUNNING_SHOWN]
        return [{**row, "id": str(row["id"]), "title": JOBS[row["kind"]]} for row in rows]

    @property
    def methods(self) -> list[tuple[str, str]]:
        return method_choices()

    @property
    def scenarios_count(self) -> int:
        return len(SCENARIOS)

    @property
    def performance_days(self) -> tuple[date, date] | None:
        """The whole history, which is what a performance is first asked of."""
        return (self.history.started, self.history.last) if self.history else None

    @property
    def for_script(self) -> dict[str, Any]:
        return {
            "portfolio": self.portfolio.id,
            "currency": self.portfolio.base_currency,
            "running": [{"id": row["id"], "kind": row["kind"]} for row in self.running],
            "performance": reverse("dashboard:performance", args=[self.portfolio.id]),
            "with_distribution": sorted(name for name, method in METHODS.items() if "distribution" in method.uses),
        }
