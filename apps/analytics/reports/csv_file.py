"""The tear sheet as one tidy CSV file (RFC 4180): a row a figure, in the columns section, item, name, value.

`section` is a part of the sheet, `item` what the figure is of (a measure, a day, a symbol), `name` which figure. The
value is empty where there is none. Numbers have a point, no thousands, and as many digits as it takes to read the
same double again.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

HEADER = ("section", "item", "name", "value")

# What a spreadsheet takes for the beginning of a formula, in a text that somebody typed.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Row = tuple[str, str, str, Any]

_DAILY = (
    "return", "cumulative_return", "drawdown", "rolling_sharpe", "rolling_volatility",
    "benchmark_return", "benchmark_cumulative_return", "benchmark_drawdown",
)  # fmt: skip


def as_csv(sheet: dict[str, Any]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(HEADER)
    writer.writerows([_safe(part) for part in row] for row in _rows(sheet))
    return file.getvalue().encode()


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def _rows(sheet: dict[str, Any]) -> Iterator[Row]:
    performance = sheet["performance"]
    yield from _plain("portfolio", sheet["portfolio"])
    yield from _plain("provenance", sheet["provenance"])
    yield from _plain("performance", performance)
    yield from (("performance", "", "warning", warning) for warning in performance["warnings"])
    yield from (("metrics", name, "value", value) for name, value in performance["metrics"].items())
    yield from (("reasons", name, "reason", reason) for name, reason in performance["reasons"].items())
    yield from _lists("drawdowns", performance["drawdowns"])
    for row in performance["monthly_returns"]:
        yield "monthly_returns", f"{row['year']}-{row['month']:02d}", "return", row["return"]
    yield from _lists("yearly_returns", sheet["yearly_returns"], "year")
    yield from _nested(performance)
    yield from _plain("positions", sheet["positions"])
    yield from _lists("positions", sheet["positions"]["rows"], "symbol")
    yield from _plain("limits", sheet["limits"])
    yield from _lists("limits", sheet["limits"]["rows"], "id")
    yield from _days(sheet["daily"])


def _plain(section: str, values: dict[str, Any]) -> Iterator[Row]:
    """What is one value and no list or table."""
    yield from ((section, "", name, value) for name, value in values.items() if not isinstance(value, dict | list))


def _lists(section: str, rows: list[dict[str, Any]], key: str | None = None) -> Iterator[Row]:
    for place, row in enumerate(rows, start=1):
        item = str(row[key]) if key else str(place)
        yield from ((section, item, name, value) for name, value in row.items() if name != key)


# Written in sections of their own above, or too long for a file of figures and all in the JSON.
_TOLD = ("metrics", "reasons", "drawdowns", "monthly_returns", "yearly_returns", "warnings", "rolling")


def _nested(performance: dict[str, Any]) -> Iterator[Row]:
    """Every other part of the result, whatever it is made of: its path as the item."""
    for section, value in performance.items():
        if section not in _TOLD and isinstance(value, dict | list):
            yield from _leaves(section, (), value)


def _leaves(section: str, path: tuple[str, ...], value: Any) -> Iterator[Row]:
    inside = value.items() if isinstance(value, dict) else enumerate(value, start=1)
    for name, part in inside:
        if isinstance(part, dict | list):
            yield from _leaves(section, (*path, str(name)), part)
        else:
            yield section, ".".join(path), str(name), part


def _days(daily: dict[str, Any]) -> Iterator[Row]:
    yield "daily", "", "rolling_window_days", daily["rolling_window_days"]
    columns = [(name, daily[name]) for name in _DAILY if daily[name] is not None]
    for place, day in enumerate(daily["dates"]):
        for name, values in columns:
            if values[place] is not None:
                yield "daily", day, name, values[place]
