"""What the steps of the pipeline found, as tables: gates with their figures, limits with what the orders would do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.risk.limit_kinds import LIMIT_KINDS

Result = Mapping[str, Any]
Shape = Callable[[float], str]

UNKNOWN = "-"
# Names of Material Symbols, and of colours in strategies/admin.css.
_VERDICT_SIGNS = {"passed": ("check", "good"), "warning": ("warning", "warn"), "broken": ("close", "bad"), "": ("", "")}


@dataclass(frozen=True, slots=True)
class Row:
    """`verdict` is "passed", "broken", "warning", or "" where nothing is decided by the row."""

    cells: Sequence[str]
    verdict: str = ""

    @property
    def icon(self) -> str:
        return _VERDICT_SIGNS[self.verdict][0]

    @property
    def tone(self) -> str:
        return _VERDICT_SIGNS[self.verdict][1]


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    headers: Sequence[str]
    rows: Sequence[Row]

    @property
    def has_headers(self) -> bool:
        return any(self.headers)


def result_tables(step: str, result: Result | None) -> list[Table]:
    """Those that have rows. A step that is not known here shows what its result holds, by name."""
    if not result:
        return []
    return [table for table in _TABLES.get(step, _by_name)(result) if table.rows]


# --- Shapes of figures -------------------------------------------------------------------------------------------


def _percent(value: float) -> str:
    return f"{value:,.2%}"


def _plain(value: float) -> str:
    return f"{value:,.2f}"


def _times(value: float) -> str:
    return f"{value:,.2f} times a year"


_FIGURES: dict[str, tuple[str, Shape]] = {
    "sharpe": ("Sharpe ratio", _plain),
    "max_drawdown": ("Largest drawdown", _percent),
    "annual_turnover": ("Turnover", _times),
    "capacity": ("Capacity", _plain),
    "total_return": ("Total return", _percent),
    "annual_return": ("Annual return", _percent),
    "annual_volatility": ("Annual volatility", _percent),
}


def _shown(value: float | None, shape: Shape) -> str:
    return UNKNOWN if value is None else shape(value)


# --- Tables of each step -----------------------------------------------------------------------------------------


def _validate(result: Result) -> list[Table]:
    weights = [Row((symbol, _percent(weight))) for symbol, weight in result.get("weights", {}).items()]
    return [Table("Weights on the newest closes", ("Symbol", "Weight"), weights)]


def _backtest(result: Result) -> list[Table]:
    figures = result.get("figures", {})
    rows = [_figure(name, figures, result.get("gates", {})) for name in _FIGURES if name in figures]
    return [Table("Figures and gates", ("Figure", "Value", "Gate"), rows), *_money(result)]


def _figure(name: str, figures: Result, gates: Result) -> Row:
    words, shape = _FIGURES[name]
    value = figures[name]
    shown = _shown(value, shape) if value is not None else figures.get("reasons", {}).get(name, UNKNOWN)
    if name not in gates:
        return Row((words, shown, ""))
    side, bound = gates[name]["side"], gates[name]["bound"]
    passes = value is not None and (value >= bound if side == "least" else value <= bound)
    return Row((words, shown, f"at {side} {shape(bound)}"), "passed" if passes else "broken")


def _money(result: Result) -> list[Table]:
    rows = [Row((words, _plain(result[name]))) for name, words in _MONEY.items() if name in result]
    rows += [Row(("Orders", f"{result['orders']:,}"))] if "orders" in result else []
    return [Table(f"{result.get('from', '')} to {result.get('to', '')}", ("", ""), rows)]


_MONEY = {"initial_equity": "Equity at first", "final_equity": "Equity at last", "costs": "Costs"}


def _risk(result: Result) -> list[Table]:
    orders = [
        Row((each["symbol"], f"{each['quantity']:+,g}", _plain(each["price"]), _plain(each["notional"])))
        for each in result.get("orders", [])
    ]
    checks = [_check(check) for check in result.get("checks", [])]
    said = [Row((reason,), "broken") for reason in result.get("reasons", [])]
    said += [Row((warning,), "warning") for warning in result.get("warnings", [])]
    return [
        Table("What the check said", ("",), said),
        Table("Limits", ("Limit", "Now", "With the orders", "Threshold"), checks),
        Table("Orders that it would send", ("Symbol", "Quantity", "Price", "Notional"), orders),
    ]


_VERDICTS = {"ok": "passed", "warning": "warning", "breach": "broken"}


def _check(check: Result) -> Row:
    kind = LIMIT_KINDS.get(check["kind"])
    shape: Shape = kind.shown if kind else _plain
    name = " ".join(part for part in (check["kind"], check.get("symbol")) if part)
    values = (_shown(check[field], shape) for field in ("current", "projected", "threshold"))
    return Row((name, *values), _VERDICTS.get(check["status"], "broken"))


def _by_name(result: Result) -> list[Table]:
    rows = [Row((name, str(value))) for name, value in result.items() if not isinstance(value, list | dict)]
    return [Table("", ("", ""), rows)]


_TABLES: dict[str, Callable[[Result], list[Table]]] = {"validate": _validate, "backtest": _backtest, "risk": _risk}
