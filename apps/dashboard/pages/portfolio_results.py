"""The newest results of a portfolio's jobs, each with its age and whether the book or the prices have changed since.

They are read from the snapshots, which whoever may see the portfolio may see; a task is its owner's alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Window
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import RowNumber

from apps.dashboard.templatetags.figures import money
from apps.portfolios.models import Portfolio, Snapshot
from apps.portfolios.prices import current_price_version
from apps.risk.analysis import KIND as ANALYSIS
from apps.risk.backtests import KIND as BACKTEST
from apps.risk.methods import METHODS
from apps.risk.models import RiskMetric
from apps.risk.scenarios import SCENARIOS
from apps.risk.stress import KIND as STRESS
from apps.tasks.models import Task

METHOD_TITLES = {
    "historical": "Historical",
    "parametric": "Parametric",
    "cornish_fisher": "Cornish-Fisher",
    "monte_carlo": "Monte Carlo",
    "filtered_historical": "Filtered historical",
    "age_weighted": "Age-weighted",
}
_ID = re.compile(r"[0-9a-f]{64}\Z")
COMPONENTS_SHOWN = 15
FIRST_CONFIDENCE = 0.99
# The monitor stores a historical figure of each book that it finds changed: it must not push out the other methods.
METRICS_A_METHOD = 500


def method_title(name: str) -> str:
    return METHOD_TITLES.get(name, name.replace("_", " ").capitalize())


def method_choices() -> list[tuple[str, str]]:
    """Historical first, as it is the default everywhere."""
    names = sorted(METHODS, key=lambda name: (name != "historical", name))
    return [(name, method_title(name)) for name in names]


@dataclass(frozen=True, slots=True)
class Computed:
    """A job's result; `stale` says what has changed since, empty where nothing has."""

    snapshot_id: str
    at: datetime
    stale: str
    result: dict[str, Any]

    @property
    def method_title(self) -> str:
        return method_title(self.result["method"])

    @property
    def confidence_text(self) -> str:
        return confidence_text(self.result["confidence"])

    @property
    def no_percentage(self) -> str:
        """Why parts of the portfolio's value are None, where they are."""
        return f"The portfolio was worth {money(self.result['portfolio_value'])}: a percentage of that means nothing"


def newest_analysis(portfolio: Portfolio, snapshot_id: str = "") -> Computed | None:
    """What was asked for last; equal inputs have one snapshot, so that the metric tells when."""
    metrics = RiskMetric.objects.filter(portfolio=portfolio, snapshot__kind=ANALYSIS)
    chosen = metrics.filter(snapshot_id=snapshot_id).first() if _ID.match(snapshot_id) else None
    metric = chosen or metrics.first()
    return _computed(portfolio, ANALYSIS, metric.snapshot_id, metric.timestamp) if metric else None


def newest_stress(portfolio: Portfolio, snapshot_id: str = "") -> Computed | None:
    return _newest(portfolio, STRESS, snapshot_id)


def newest_backtest(portfolio: Portfolio, snapshot_id: str = "") -> Computed | None:
    return _newest(portfolio, BACKTEST, snapshot_id)


def _newest(portfolio: Portfolio, kind: str, snapshot_id: str) -> Computed | None:
    """What was asked for last, whose task tells when; tasks are deleted in time, and then it is the newest snapshot."""
    tasks = Task.objects.filter(kind=kind, portfolio_id=portfolio.id, status=Task.Status.SUCCEEDED)
    newest = tasks.order_by("-finished_at").values_list(KeyTextTransform("snapshot_id", "result"), "finished_at")
    last, finished_at = newest.first() or (None, None)
    chosen = snapshot_id if _ID.match(snapshot_id) else last or ""
    return _computed(portfolio, kind, chosen, finished_at if chosen == last else None)


def _computed(portfolio: Portfolio, kind: str, snapshot_id: str, at: datetime | None = None) -> Computed | None:
    """That snapshot, or the newest of the kind where there is no such one."""
    of_kind = Snapshot.objects.filter(portfolio=portfolio, kind=kind)
    rows = of_kind.annotate(
        ledger=KeyTransform("ledger_version", "inputs"), prices=KeyTransform("price_version", "inputs")
    ).values("id", "created_at", "result", "ledger", "prices")
    row = (rows.filter(pk=snapshot_id).first() if _ID.match(snapshot_id) else None) or rows.order_by(
        "-created_at"
    ).first()
    if row is None:
        return None
    stale = _why_stale(portfolio, row["ledger"], row["prices"])
    return Computed(row["id"], at or row["created_at"], stale, row["result"])


def _why_stale(portfolio: Portfolio, ledger_version: int, price_version: int) -> str:
    is_other_book = ledger_version != portfolio.ledger_version
    are_other_prices = price_version != current_price_version()
    if is_other_book and are_other_prices:
        return "Since then the book and prices have changed."
    if is_other_book:
        return "Since then the book has changed."
    return "Since then prices have changed." if are_other_prices else ""


def confidence_text(confidence: float) -> str:
    return f"{100 * confidence:.6g} %"


@dataclass(frozen=True, slots=True)
class Components:
    """The positions that make the most of VaR, the largest part first; `others` are all that are not shown."""

    rows: list[dict[str, Any]]
    others: dict[str, Any] | None

    @property
    def bars(self) -> dict[str, list[Any]]:
        shown = [*self.rows, *([self.others] if self.others else [])]
        return {"symbols": [row["symbol"] for row in shown], "parts": [row["component_var"] for row in shown]}


def components_of(result: Mapping[str, Any]) -> Components:
    var = result["var"]
    rows = [{**row, "share": row["component_var"] / var if var else None} for row in result["components"]]
    by_size = sorted(rows, key=lambda row: -abs(row["component_var"]))
    shown, left = by_size[:COMPONENTS_SHOWN], by_size[COMPONENTS_SHOWN:]
    return Components(sorted(shown, key=lambda row: -row["component_var"]), _summed(left, var) if left else None)


def _summed(rows: list[dict[str, Any]], var: float) -> dict[str, Any]:
    """Components add up; marginal and incremental figures do not."""
    names = ("value", "component_var", "component_es")
    total = {name: sum(row.get(name) or 0.0 for row in rows) for name in names}
    weights = [row["weight"] for row in rows]
    return {
        "symbol": f"{len(rows)} others",
        **total,
        "weight": None if None in weights else sum(weights),
        "share": total["component_var"] / var if var else None,
    }


@dataclass(frozen=True, slots=True)
class StressRow:
    """One scenario of a stress test; `share` is its loss as a part of the largest one's, 0 to 100."""

    row: dict[str, Any]
    description: str
    share: float
    worst_position: dict[str, Any] | None
    worst_sector: dict[str, Any] | None
    is_worst: bool


def stress_rows(result: Mapping[str, Any]) -> list[StressRow]:
    """The worst first."""
    rows = sorted(result["scenarios"], key=lambda row: row["pnl"])
    largest = max((abs(row["pnl"]) for row in rows), default=0.0)
    return [_stress_row(row, largest, result["worst"]) for row in rows]


def _stress_row(row: dict[str, Any], largest: float, worst: str | None) -> StressRow:
    scenario = SCENARIOS.get(row["name"])
    return StressRow(
        row,
        scenario.description if scenario else "",
        round(100 * abs(row["pnl"]) / largest, 1) if largest else 0.0,
        min(row["by_position"], key=lambda one: one["pnl"], default=None),
        min((one for one in row["by_sector"] if one["sector"]), key=lambda one: one["pnl"], default=None),
        row["name"] == worst,
    )


def backtest_chart(result: Mapping[str, Any]) -> dict[str, Any]:
    """Days, the P&L that came on each, each method's VaR, and by day the methods whose VaR it was beyond."""
    first = result["methods"][0]["series"]
    return {
        "dates": [day["date"] for day in first],
        "realized": [round(day["realized"], 2) for day in first],
        "methods": [
            {"title": method_title(table["method"]), "var": [round(day["var"], 2) for day in table["series"]]}
            for table in result["methods"]
        ],
        "hits": {day["date"]: day["methods"] for day in hit_days(result)},
    }


def hit_days(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The days of exceptions, the newest first: what came, and the VaR of the methods that it was beyond."""
    found: dict[str, dict[str, Any]] = {}
    for table in result["methods"]:
        series = {day["date"]: day for day in table["series"]}
        for day in table["exception_dates"]:
            hit = found.setdefault(day, {"date": day, "realized": series[day]["realized"], "methods": [], "vars": []})
            hit["methods"].append(method_title(table["method"]))
            hit["vars"].append((method_title(table["method"]), series[day]["var"]))
    return [found[day] for day in sorted(found, reverse=True)]


@dataclass(frozen=True, slots=True)
class StoredFigures:
    """Stored one-day VaR at one confidence: `newest` by method, and `lines` of (moment, VaR, close) for the chart."""

    confidence: float | None
    confidences: list[tuple[float, str]]
    newest: list[RiskMetric]
    lines: list[dict[str, Any]]

    @property
    def confidence_text(self) -> str:
        return confidence_text(self.confidence) if self.confidence else ""


def read_stored(portfolio: Portfolio, asked: str) -> StoredFigures:
    """`asked` is a confidence as text; of one that is not stored, 99 % or the one that is stored most often."""
    one_day = RiskMetric.objects.filter(portfolio=portfolio, horizon_days=1).order_by()
    counted = dict(one_day.values_list("confidence").annotate(Count("pk")))
    if not counted:
        return StoredFigures(None, [], [], [])
    confidence = _chosen(asked, counted)
    newest_first = F("timestamp").desc(), F("id").desc()
    place = Window(RowNumber(), partition_by="method", order_by=newest_first)
    shown = one_day.filter(confidence=confidence).annotate(place=place).filter(place__lte=METRICS_A_METHOD)
    by_method: dict[str, list[RiskMetric]] = {}
    for row in shown.order_by(*newest_first):
        by_method.setdefault(row.method, []).append(row)
    return StoredFigures(
        confidence,
        [(each, confidence_text(each)) for each in sorted(counted)],
        [by_method[name][0] for name in sorted(by_method)],
        [_line(name, by_method[name][::-1]) for name in sorted(by_method)],
    )


def _chosen(asked: str, counted: Mapping[float, int]) -> float:
    named = {str(each): each for each in counted}
    if asked in named:
        return named[asked]
    return FIRST_CONFIDENCE if FIRST_CONFIDENCE in counted else max(counted, key=lambda each: counted[each])


def _line(name: str, oldest_first: list[RiskMetric]) -> dict[str, Any]:
    return {
        "title": method_title(name),
        "points": [[row.timestamp.timestamp() * 1000, round(row.var, 2), str(row.as_of)] for row in oldest_first],
    }
