"""The tables of a tear sheet, each from its part of the sheet."""

from typing import Any

from apps.analytics.reports.blocks import Cell, Table
from apps.analytics.reports.measures import label_of, place_of, text_of
from apps.analytics.reports.numbers import Number, percent, plain, price, quantity

# A page is to be read; the CSV and the JSON have every row.
MOST_POSITIONS = 40
MOST_CONTRIBUTIONS = 20

_GAINS = (
    ("Realized", "realized"),
    ("Unrealized, change", "unrealized_change"),
    ("Unrealized, at the end", "unrealized"),
)
_ACTIONS = {"block": "blocks trades that would breach it", "warn": "warns alone"}
_TONES = {"ok": "good", "warning": "warning", "breach": "bad"}


def drawdowns_table(drawdowns: list[dict[str, Any]]) -> Table:
    rows = [
        [
            Cell(row["peak"]),
            Cell(row["trough"]),
            Cell(row["recovery"] or "not yet"),
            Cell(percent(row["depth"])),
            Cell(plain(row["days"], 0)),
        ]
        for row in drawdowns
    ]
    columns = ("Peak", "Trough", "Recovery", "Depth", "Days")
    note = "Days are trading days from the peak to the recovery, or to the end of the period."
    return Table("drawdowns", "Deepest drawdowns", columns, rows, (3, 4), note if rows else "", "No drawdown.")


def yearly_table(sheet: dict[str, Any]) -> Table:
    with_benchmark = sheet["daily"]["benchmark_return"] is not None
    columns = ["Year", "Days", "Portfolio"]
    if with_benchmark:
        columns += [str(sheet["performance"]["benchmark"]), "Difference"]
    rows = [_year(row, with_benchmark) for row in reversed(sheet["yearly_returns"])]
    return Table("years", "Return by year", columns, rows, range(1, len(columns)))


def _year(row: dict[str, Any], with_benchmark: bool) -> list[Cell]:
    cells = [Cell(str(row["year"])), Cell(str(row["days"])), Cell(percent(row["return"]))]
    if not with_benchmark:
        return cells
    own, other = row["return"], row["benchmark_return"]
    active = None if own is None or other is None else own - other
    return [*cells, Cell(percent(other)), Cell(percent(active))]


def positions_table(sheet: dict[str, Any]) -> Table:
    positions, currency = sheet["positions"], sheet["portfolio"]["currency"]
    columns = ("Symbol", "Quantity", "Average cost", "Price", "Value", "Weight", "Unrealized P&L")
    rows = [_position(row) for row in positions["rows"][:MOST_POSITIONS]]
    rows += _others(positions["rows"][MOST_POSITIONS:])
    rows.append(_sum_row("Cash", positions["cash"], positions["cash_weight"]))
    rows.append(_sum_row("Portfolio", positions["value"], None if positions["value"] is None else 1.0))
    as_of = f"at the closes of {positions['as_of']}" if positions["as_of"] else "without prices"
    note = f"In {currency}, {as_of}, ledger version {positions['ledger_version']}."
    if positions["reason"]:
        note += f" No value of the portfolio: {positions['reason']}."
    return Table("positions", "Positions", columns, rows, range(1, 7), note, total=True)


def _position(row: dict[str, Any]) -> list[Cell]:
    return [
        Cell(row["symbol"]),
        Cell(quantity(row["quantity"])),
        Cell(price(row["average_cost"])),
        Cell(price(row["price"]), "" if row["price"] is not None else "no price"),
        Cell(plain(row["value"])),
        Cell(percent(row["weight"])),
        Cell(plain(row["unrealized_pnl"])),
    ]


def _others(rows: list[dict[str, Any]]) -> list[list[Cell]]:
    if not rows:
        return []
    cells = [Cell(f"{len(rows)} others"), Cell(""), Cell(""), Cell("")]
    sums = [_sum(rows, name) for name in ("value", "weight", "unrealized_pnl")]
    return [[*cells, Cell(plain(sums[0])), Cell(percent(sums[1])), Cell(plain(sums[2]))]]


def _sum(rows: list[dict[str, Any]], name: str) -> Number:
    values = [row[name] for row in rows]
    return None if None in values else sum(values)


def _sum_row(name: str, value: Number, weight: Number) -> list[Cell]:
    return [Cell(name), Cell(""), Cell(""), Cell(""), Cell(plain(value)), Cell(percent(weight)), Cell("")]


def limits_table(limits: dict[str, Any]) -> Table:
    columns = ("Limit", "Status", "Value", "Warning at", "Limit at", "Used")
    rows = [_limit(row) for row in limits["rows"]]
    note = f"As the monitor saw them, {limits['as_of']}." if rows else ""
    return Table("limits", "Limits", columns, rows, (2, 3, 4, 5), note, "No active limit.")


def _limit(row: dict[str, Any]) -> list[Cell]:
    of_symbol = f" of {row['symbol']}" if row["symbol"] else ""
    return [
        Cell(f"{label_of(row['kind'])}{of_symbol}", _ACTIONS[row["action"]]),
        Cell(row["status"], row["reason"], _TONES.get(row["status"], "")),
        *(Cell(_in_unit(row[name], row["unit"])) for name in ("current_value", "warning_threshold", "threshold_value")),
        Cell(percent(row["utilization"], 0)),
    ]


def _in_unit(value: Number, unit: str) -> str:
    if unit == "fraction":
        return percent(value)
    return plain(value) if unit in ("currency", "ratio") else quantity(value)


def contributions_table(performance: dict[str, Any]) -> Table | None:
    """The largest either way; None where the stored result is from before there were any."""
    contributions = performance.get("contributions")
    if not contributions:
        return None
    ordered = sorted(contributions, key=lambda row: -abs(row.get("contribution") or 0.0))
    columns = ("Symbol", "Average weight", "Contribution", "P&L")
    rows = [
        [
            Cell(row["symbol"]),
            Cell(percent(row.get("average_weight"))),
            Cell(percent(row.get("contribution"))),
            Cell(plain(row.get("pnl"))),
        ]
        for row in ordered[:MOST_CONTRIBUTIONS]
    ]
    left = len(ordered) - len(rows)
    note = "Parts of the total return." + (f" The {left} smallest are left out." if left else "")
    return Table("contributions", "Contribution by position", columns, rows, (1, 2, 3), note)


def attribution_table(performance: dict[str, Any]) -> Table | None:
    """By sector against the benchmark (Brinson-Fachler); None where none was asked for."""
    attribution = performance.get("attribution")
    if not attribution:
        return None
    names = ("average_weight", "benchmark_weight", "allocation", "selection", "interaction", "total")
    columns = ("Sector", *(label_of(name) for name in names))
    rows = [[Cell(row["sector"]), *(Cell(percent(row[name])) for name in names)] for row in attribution["sectors"]]
    note = f"Parts of the active return of {percent(attribution['active_return'])}, linked over the days."
    return Table("attribution", "Attribution by sector", columns, rows, range(1, 7), note)


def intervals_table(performance: dict[str, Any]) -> Table | None:
    """Bootstrap intervals; None where none were asked for."""
    intervals = performance.get("confidence_intervals")
    if not intervals:
        return None
    rows = [_interval(name, bounds) for name, bounds in _in_order(intervals["measures"])]
    note = f"{percent(intervals['confidence'], 0)} of {intervals['samples']} samples: {intervals['method']}."
    return Table("intervals", "Confidence intervals", ("Measure", "Lower", "Figure", "Upper"), rows, (1, 2, 3), note)


def _in_order(measures: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(measures.items(), key=lambda measure: place_of(measure[0]))


def _interval(name: str, bounds: dict[str, Any]) -> list[Cell]:
    lower, estimate, upper = (text_of(name, bounds[key]) for key in ("lower", "estimate", "upper"))
    return [Cell(label_of(name)), Cell(lower, bounds["reason"] or ""), Cell(estimate), Cell(upper)]


def gains_table(performance: dict[str, Any]) -> Table | None:
    """What was realized and what was not, by both ways of counting cost."""
    pnl = performance.get("pnl")
    if not pnl:
        return None
    rows = [[Cell(title), Cell(plain(pnl[f"{key}_fifo"])), Cell(plain(pnl[f"{key}_average"]))] for title, key in _GAINS]
    note = f"In {performance['currency']}. The value gained {plain(pnl['total'])}, beside money paid in and out."
    return Table("gains", "Profit and loss", ("Of the period", "FIFO", "Average cost"), rows, (1, 2), note)


def factors_table(performance: dict[str, Any]) -> Table | None:
    """Regression on factors; None where none was asked for."""
    regression = performance.get("regression")
    if not regression:
        return None
    rows = [
        [Cell(row["symbol"]), *(Cell(plain(row[name], 3)) for name in ("beta", "standard_error", "t", "p"))]
        for row in regression["factors"]
    ]
    note = f"R² {plain(regression['r_squared'], 3)}; alpha {percent(regression['alpha'])} a year."
    return Table("factors", "Regression on factors", ("Factor", "Beta", "Error", "t", "p"), rows, range(1, 5), note)
