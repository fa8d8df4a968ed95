"""The tables of the performance page: headline figures, months by year, and every measure with what it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.analytics.reports.measures import Shown, grouped, shown, text_of
from apps.analytics.reports.numbers import Number, percent, plain

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HEADLINES = (
    *("total_return", "annual_return", "annual_volatility", "max_drawdown", "sharpe", "sortino", "var_95", "cvar_95"),
    *("alpha", "beta", "information_ratio", "tracking_error"),
)
SIGNED = ("total_return", "annual_return", "max_drawdown", "sharpe", "sortino", "alpha", "information_ratio")
OF_BOOK = ("money_weighted_return", "turnover", "cash_contribution", "trading_contribution")

# From which return on a month has the next stronger colour; a year takes three times as much.
SHADES = (0.001, 0.02, 0.04, 0.08)
YEAR_SCALE = 3.0


@dataclass(frozen=True, slots=True)
class Headline:
    """`signed_by` is the figure where its sign is good or bad news, else None."""

    shown: Shown
    signed_by: Number


@dataclass(frozen=True, slots=True)
class Cell:
    """`text` is in per cent, empty where the period has no day in it; `shade` is the class of its colour."""

    text: str
    missing: bool
    shade: str


NO_DAY = Cell("", missing=False, shade="")


@dataclass(frozen=True, slots=True)
class Year:
    year: int
    months: tuple[Cell, ...]
    total: Cell


@dataclass(frozen=True, slots=True)
class Months:
    """The newest year first; the best and the worst month as the row of the result has them."""

    years: tuple[Year, ...]
    best: dict[str, Any] | None
    worst: dict[str, Any] | None
    gains: int
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """`interval` says between what the figure may lie; empty where that was not asked for."""

    measure: Shown
    interval: str


@dataclass(frozen=True, slots=True)
class Group:
    """Where none of its figures is there for one and the same reason, that is `reason`."""

    title: str
    rows: tuple[Row, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Measures:
    """Of `count` measures those that are found, by subject."""

    groups: tuple[Group, ...]
    found: int
    count: int


def headlines(result: Mapping[str, Any]) -> list[Headline]:
    metrics = result["metrics"]
    return [_headline(name, metrics[name], result["reasons"]) for name in HEADLINES if name in metrics]


def _headline(name: str, value: Number, reasons: dict[str, str]) -> Headline:
    return Headline(shown(name, value, reasons), value if name in SIGNED else None)


def months_by_year(result: Mapping[str, Any]) -> Months:
    rows = result["monthly_returns"]
    by_month = {(row["year"], row["month"]): row["return"] for row in rows}
    by_year = {row["year"]: row["return"] for row in result.get("yearly_returns") or ()}
    known = sorted((row for row in rows if row["return"] is not None), key=lambda row: row["return"])
    return Months(
        tuple(_year(year, by_month, by_year) for year in sorted({row["year"] for row in rows}, reverse=True)),
        best=known[-1] if known else None,
        worst=known[0] if known else None,
        gains=sum(row["return"] > 0 for row in known),
        count=len(known),
    )


def _year(year: int, by_month: Mapping[tuple[int, int], Number], by_year: Mapping[int, Number]) -> Year:
    months = [(year, month) for month in range(1, 13)]
    cells = tuple(_cell(by_month[month]) if month in by_month else NO_DAY for month in months)
    return Year(year, cells, _cell(by_year.get(year), YEAR_SCALE))


def _cell(value: Number, scale: float = 1.0) -> Cell:
    if value is None:
        return Cell(plain(None), missing=True, shade="")
    level = sum(abs(value) >= shade * scale for shade in SHADES)
    return Cell(
        plain(100 * value, 1), missing=False, shade=f"{'loss' if value < 0 else 'gain'}-{level}" if level else ""
    )


def measures_found(result: Mapping[str, Any], words: str) -> Measures:
    """Those that have all the words in their name, in what they are, or in their subject."""
    every = _all_groups(result)
    intervals = _intervals(result.get("confidence_intervals"))
    wanted = words.casefold().split()
    groups = []
    for title, measures in every:
        if found := [Row(each, intervals.get(each.name, "")) for each in measures if _matches(each, title, wanted)]:
            groups.append(_group(title, found))
    return Measures(tuple(groups), sum(len(group.rows) for group in groups), sum(len(rows) for _, rows in every))


def _group(title: str, rows: list[Row]) -> Group:
    reasons = {row.measure.reason for row in rows}
    return Group(title, tuple(rows), reasons.pop() if len(reasons) == 1 and len(rows) > 1 else "")


def _all_groups(result: Mapping[str, Any]) -> list[tuple[str, list[Shown]]]:
    """Those of the return series, then those of the book, which results of earlier releases lack."""
    groups = grouped(result["metrics"], result["reasons"])
    of_book = [shown(name, result[name], result["reasons"]) for name in OF_BOOK if name in result]
    return [*groups, ("The book", of_book)] if of_book else groups


def _matches(measure: Shown, title: str, wanted: list[str]) -> bool:
    text = f"{measure.name} {measure.label} {measure.about} {title}".casefold()
    return all(word in text for word in wanted)


def _intervals(field: Mapping[str, Any] | None) -> dict[str, str]:
    """In words, by measure; nothing where no confidence intervals were asked for."""
    if not field:
        return {}
    share = percent(field["confidence"], 0)
    return {name: _interval(name, share, bounds) for name, bounds in field["measures"].items()}


def _interval(name: str, share: str, bounds: Mapping[str, Any]) -> str:
    if bounds["lower"] is None:
        return f"No interval: {bounds['reason']}"
    return f"{share}: {text_of(name, bounds['lower'])} to {text_of(name, bounds['upper'])}"
