"""The sheet in words, tables and drawings: what the pages of HTML and of PDF both show, and nothing of how."""

from dataclasses import asdict
from typing import Any

from apps.analytics.reports.blocks import Table
from apps.analytics.reports.charts import draw_charts
from apps.analytics.reports.heat import MONTHS, heat_map
from apps.analytics.reports.measures import Shown, grouped, label_of, shown, text_of
from apps.analytics.reports.numbers import plain
from apps.analytics.reports.tables import (
    attribution_table,
    contributions_table,
    drawdowns_table,
    factors_table,
    gains_table,
    intervals_table,
    limits_table,
    positions_table,
    yearly_table,
)

Sheet = dict[str, Any]
Page = dict[str, Any]

KEY_FIGURES = (
    "total_return", "annual_return", "sharpe", "sortino", "max_drawdown", "annual_volatility", "var_95", "beta",
)  # fmt: skip
OF_BOOK = ("money_weighted_return", "turnover", "cash_contribution", "trading_contribution")
_BAD_BELOW_ZERO = ("total_return", "annual_return", "sharpe", "sortino", "max_drawdown")
_KEY_LABELS = {"annual_return": "Annual return (CAGR)", "var_95": "VaR 95 %, one day", "beta": "Beta"}


def make_page(sheet: Sheet) -> Page:
    """Plain JSON. Tables that have nothing to say of this portfolio are left out or say why they are empty."""
    performance = sheet["performance"]
    return {
        "title": sheet["portfolio"]["name"],
        "subtitle": _subtitle(sheet),
        "period": f"{performance['start_date']} to {performance['end_date']}",
        "facts": _facts(sheet),
        "warnings": _warnings(sheet),
        "key_figures": [_key_figure(performance, name) for name in KEY_FIGURES],
        "charts": [_chart(chart) for chart in draw_charts(sheet)],
        "months": [*MONTHS, "Year"],
        "heat": heat_map(sheet),
        "groups": [_group(title, measures) for title, measures in _measures(performance)],
        "tables": [table.as_dict() for table in _tables(sheet) if table is not None],
        "footer": _footer(sheet),
    }


def _tables(sheet: Sheet) -> list[Table | None]:
    performance = sheet["performance"]
    return [
        drawdowns_table(performance["drawdowns"]),
        yearly_table(sheet),
        intervals_table(performance),
        gains_table(performance),
        contributions_table(performance),
        attribution_table(performance),
        factors_table(performance),
        positions_table(sheet),
        limits_table(sheet["limits"]),
    ]


def _subtitle(sheet: Sheet) -> str:
    portfolio, performance = sheet["portfolio"], sheet["performance"]
    benchmark = performance["benchmark"]
    against = f"against {benchmark}" if benchmark else "without a benchmark"
    return f"{portfolio['portfolio_id']} · {portfolio['currency']} · {against}"


def _facts(sheet: Sheet) -> list[str]:
    portfolio, performance = sheet["portfolio"], sheet["performance"]
    facts = [
        f"{plain(performance['observations'], 0)} daily return{'' if performance['observations'] == 1 else 's'}",
        f"risk-free rate {plain(performance['risk_free_rate'] * 100)} % a year",
        f"inception {portfolio['inception_date']}",
    ]
    if portfolio["trading_state"] != "active":
        facts.append(f"trading is {portfolio['trading_state']}")
    return [*facts, "closed"] if portfolio["closed"] else facts


def _warnings(sheet: Sheet) -> list[str]:
    made = sheet["provenance"]
    warnings = list(sheet["performance"]["warnings"])
    if made["ledger_version_now"] != made["ledger_version"]:
        warnings.append(
            "The book has changed since these figures were calculated:"
            f" ledger version {made['ledger_version']} then, {made['ledger_version_now']} when this was made."
        )
    if made["price_version_now"] != made["price_version"]:
        warnings.append(
            "Prices have changed since these figures were calculated:"
            f" price version {made['price_version']} then, {made['price_version_now']} when this was made."
        )
    return warnings


def _key_figure(performance: dict[str, Any], name: str) -> dict[str, str]:
    value = performance["metrics"].get(name)
    return {
        "label": _KEY_LABELS.get(name) or label_of(name),
        "text": text_of(name, value),
        "note": performance["reasons"].get(name, ""),
        "tone": "loss" if name in _BAD_BELOW_ZERO and value is not None and value < 0 else "",
    }


def _chart(chart: Any) -> dict[str, str]:
    return {name: getattr(chart, name) for name in ("name", "title", "alt", "svg", "reason")}


def _measures(performance: dict[str, Any]) -> list[tuple[str, list[Shown]]]:
    """Those of the return series by group, then those of the book."""
    of_book = [shown(name, performance[name], performance["reasons"]) for name in OF_BOOK if name in performance]
    groups = grouped(performance["metrics"], performance["reasons"])
    return [*groups, ("The book", of_book)] if of_book else groups


def _group(title: str, measures: list[Shown]) -> dict[str, Any]:
    """A group whose figures are all missing for one reason says it once."""
    reasons = {measure.reason for measure in measures}
    if len(reasons) == 1 and "" not in reasons:
        return {"title": title, "rows": [], "empty": f"None of {len(measures)} figures: {reasons.pop()}."}
    return {"title": title, "rows": [asdict(measure) for measure in measures], "empty": ""}


def _footer(sheet: Sheet) -> list[str]:
    made, performance = sheet["provenance"], sheet["performance"]
    return [
        f"Performance of {performance['start_date']} to {performance['end_date']},"
        f" calculated {made['calculated_at']} on price version {made['price_version']} and ledger version"
        f" {made['ledger_version']}. Report made {made['made_at']}.",
        f"Snapshot {made['snapshot_id']}: POST /api/v1/snapshots/{{id}}/replay computes the figures again.",
        "Simple daily time-weighted returns, 252 days a year. VaR and expected shortfall (cvar) are losses of one day,"
        " as a fraction of the value. A dash is a figure that this series does not have, with the reason beside it.",
    ]
