"""The page of what a portfolio earned: the newest stored performance with its curves, months and measures."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Max, Min
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from apps.analytics.models import AnalyticsMetric, Report
from apps.analytics.performance import KIND, latest_performance
from apps.analytics.reports.curves import Series
from apps.analytics.reports.keep import kept_report
from apps.dashboard.pages.choosing import remembered_portfolio, visited_portfolio
from apps.dashboard.pages.page import Page
from apps.dashboard.pages.performance_curves import Curves, curves_of, daily_series
from apps.dashboard.pages.performance_rolling import CHOICES, Chosen, Rolling, choose, rolling_shown
from apps.dashboard.pages.performance_tables import (
    MONTHS,
    Headline,
    Measures,
    Months,
    headlines,
    measures_found,
    months_by_year,
)
from apps.portfolios.models import Instrument, Portfolio, PortfolioData, Snapshot
from apps.portfolios.prices import current_price_version
from apps.tasks.models import Task
from apps.tasks.queries import visible_tasks
from nautilus.api.errors import DomainError

FORMATS = tuple(Report.Format)
FOLLOWED_EVENTS = ("performance.calculated", "report.made")
# Beside the whole history: periods that end on its last day.
_PERIODS = (("5 years", 5 * 365), ("3 years", 3 * 365), ("1 year", 365))


class PerformancePage(Page):
    title = "Performance"
    entry = "performance"
    roles = ("viewer",)
    template_name = "dashboard/performance.html"
    fragments = {
        "result": "dashboard/performance/result.html",
        "summary": "dashboard/performance/summary.html",
        "rolling": "dashboard/performance/rolling.html",
        "measures": "dashboard/performance/measures.html",
        "report": "dashboard/performance/report.html",
    }

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Without a portfolio in the path, the last one looked at; where there is none at all, the page says so."""
        if "portfolio_id" not in kwargs and (portfolio := remembered_portfolio(request)):
            return HttpResponseRedirect(reverse("dashboard:performance", args=[portfolio.id]))
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if "portfolio_id" not in kwargs:
            return context | {"portfolio": None}
        portfolio = visited_portfolio(self.request, kwargs["portfolio_id"])
        metric = latest_performance(portfolio)
        stored = metric and StoredPerformance(portfolio, metric, self.request.GET.dict())
        fixed = {"months": MONTHS, "formats": FORMATS, "rolling_measures": CHOICES}
        context |= {"portfolio": portfolio, "stored": stored, **fixed}
        return context | ({} if self._is_fragment() else self._around(portfolio, metric))

    def _is_fragment(self) -> bool:
        return self.get_template_names() != [self.template_name]

    def _around(self, portfolio: Portfolio, metric: AnalyticsMetric | None) -> dict[str, Any]:
        """What stands around the result, and is not drawn anew with it."""
        known = {"portfolio_id": portfolio.id, "events": FOLLOWED_EVENTS, "task_id": self._running_task(portfolio)}
        return {"asked": form_of(portfolio, metric), "known": known}

    def _running_task(self, portfolio: Portfolio) -> str | None:
        """One that the user waits for already, as after a reload."""
        running = visible_tasks(self.request.user).filter(
            kind=KIND, portfolio_id=portfolio.id, status=Task.Status.PROCESSING
        )
        newest = running.order_by("-created_at").values_list("pk", flat=True).first()
        return str(newest) if newest else None


class StoredPerformance:
    """A stored performance as the page shows it; what only one fragment shows is read when that one asks for it."""

    def __init__(self, portfolio: Portfolio, metric: AnalyticsMetric, asked: Mapping[str, str]) -> None:
        self.portfolio = portfolio
        self.metric = metric
        self.result: dict[str, Any] = metric.result
        self.asked = asked

    @cached_property
    def behind(self) -> list[str]:
        """What has changed since it was calculated."""
        inputs = Snapshot.objects.values_list("inputs", flat=True).get(pk=self.metric.snapshot_id)
        book = inputs["ledger_version"] != self.portfolio.ledger_version
        prices = inputs["price_version"] != current_price_version()
        changed = (("The book has changed", book), ("Prices have come in or were corrected", prices))
        return [f"{what} since these figures were calculated." for what, is_so in changed if is_so]

    @cached_property
    def headlines(self) -> list[Headline]:
        return headlines(self.result)

    @cached_property
    def months(self) -> Months:
        return months_by_year(self.result)

    @cached_property
    def measures(self) -> Measures:
        return measures_found(self.result, self.words)

    @property
    def words(self) -> str:
        return self.asked.get("q", "")

    @cached_property
    def curves(self) -> Curves | None:
        return None if self._series is None else curves_of(self._series)

    @cached_property
    def chosen(self) -> Chosen:
        return choose(self.asked, self.result)

    @cached_property
    def rolling(self) -> Rolling:
        if self._series is None:
            return Rolling(self.chosen, self.why_no_series)
        return rolling_shown(self.chosen, self._series, self.result["risk_free_rate"])

    @cached_property
    def report(self) -> Report | None:
        """The tear sheet as it is kept; a task makes all its formats at once."""
        return kept_report(self.metric, Report.Format.HTML)

    @property
    def why_no_series(self) -> str:
        return self._read[1]

    @property
    def _series(self) -> Series | None:
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[Series | None, str]:
        try:
            return daily_series(self.metric), ""
        except DomainError as error:
            return None, error.sentence


def form_of(portfolio: Portfolio, metric: AnalyticsMetric | None) -> dict[str, Any]:
    """What the form has in it: the last one's period, up to the newest day; else the whole history."""
    first, last = _whole_history(portfolio)
    result = metric.result if metric else {}
    return {
        "start": result.get("start_date") or str(first),
        "end": str(last),
        "benchmark": _own_benchmark(portfolio, result),
        "risk_free_percent": f"{100 * result.get('risk_free_rate', 0.0):.6g}",
        "benchmarks": Instrument.objects.filter(benchmark_of__isnull=False).distinct().order_by("symbol"),
        "periods": _periods(first, last),
    }


def _own_benchmark(portfolio: Portfolio, result: Mapping[str, Any]) -> str:
    """Empty for the portfolio's own."""
    benchmark = result.get("benchmark") or ""
    return "" if benchmark == portfolio.benchmark_id else benchmark


def _whole_history(portfolio: Portfolio) -> tuple[date, date]:
    """From the close before its first return to its newest; to today where no history is stored yet."""
    ends = PortfolioData.objects.filter(portfolio=portfolio).aggregate(first=Min("date"), last=Max("date"))
    return ends["first"] or portfolio.inception_date, ends["last"] or timezone.now().date()


def _periods(first: date, last: date) -> list[tuple[str, str, str]]:
    """As (name, start, end); the start is the last close before the period."""
    year = ("This year", date(last.year - 1, 12, 31))
    begins = [(name, last - timedelta(days=days)) for name, days in _PERIODS]
    shorter = [(name, str(start), str(last)) for name, start in (*begins, year) if first < start < last]
    return [("Whole history", str(first), str(last)), *shorter]
