"""Historical scenarios: today's positions through the closes of a window of the past."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.portfolios.matrix import DateArray, FloatArray, PriceMatrix
from apps.risk.errors import ScenarioPricesError
from apps.risk.kernels.stress import path_loss
from apps.risk.stress_rows import StressBook, by_position, scenario_row

# A close stands for the days after it up to here: a holiday of one exchange, not a halt of weeks.
CARRIED_DAYS = 7


@dataclass(frozen=True, slots=True)
class Path:
    """Closes (days, symbols) from start to end, NaN where there is none; `carried` (symbols,) counts the old ones."""

    dates: DateArray
    closes: FloatArray
    carried: NDArray[np.intp]


def historical_rows(
    book: StressBook, inputs: dict[str, Any], matrix: PriceMatrix, warnings: list[str]
) -> list[dict[str, Any]]:
    """Raises ScenarioPricesError, for all scenarios at once."""
    proxies = inputs["proxy"]
    paths = [_with_proxies(book, proxies, scenario, matrix) for scenario in inputs["scenarios"]]
    _refuse_gaps(book, proxies, inputs["scenarios"], paths, matrix)
    rows = []
    for scenario, (path, basis) in zip(inputs["scenarios"], paths, strict=True):
        rows.append(_row(book, scenario, path, basis))
        warnings.extend(_said(book, scenario["name"], path, basis))
    return rows


def _row(book: StressBook, scenario: dict[str, Any], path: Path, basis: list[str]) -> dict[str, Any]:
    loss = path_loss(path.closes, book.values)
    head = {
        **{name: scenario[name] for name in ("name", "title")},
        "kind": "historical",
        **{name: scenario[name] for name in ("start", "end")},
        "worst_point": {"date": str(path.dates[loss.worst_row]), "pnl": loss.worst_pnl},
    }
    no_betas = [None] * len(book.symbols)
    rows = by_position(book, loss.returns, loss.parts, basis=basis, beta=no_betas)
    return scenario_row(book, head, loss.pnl, loss.parts, rows)


def _with_proxies(
    book: StressBook, proxies: dict[str, str], scenario: dict[str, Any], matrix: PriceMatrix
) -> tuple[Path, list[str]]:
    """The whole path of the proxy where the symbol's own has a gap; and where each path comes from."""
    own = _path(book.symbols, book.benchmark, scenario, matrix)
    stand_ins = tuple(proxies.get(symbol, symbol) for symbol in book.symbols)
    if np.isfinite(own.closes).all() or not proxies:
        return own, ["prices"] * len(book.symbols)
    # Days of both, so that each has a close on the other's.
    both = _path(book.symbols + stand_ins, book.benchmark, scenario, matrix)
    mine, theirs = np.split(np.arange(both.closes.shape[1]), 2)
    gaps = ~np.isfinite(both.closes[:, mine]).all(axis=0)
    replaced = gaps & np.array([symbol in proxies for symbol in book.symbols])
    chosen = np.where(replaced, theirs, mine)
    basis = [f"proxy {name}" if by else "prices" for name, by in zip(stand_ins, replaced, strict=True)]
    return Path(both.dates, both.closes[:, chosen], both.carried[chosen]), basis


def _path(symbols: tuple[str, ...], benchmark: str | None, scenario: dict[str, Any], matrix: PriceMatrix) -> Path:
    """Closes on the days of the book within the scenario, each carried on for at most CARRIED_DAYS."""
    start, end = np.datetime64(scenario["start"]), np.datetime64(scenario["end"])
    days = matrix.trading_days(symbols, benchmark)
    dates = matrix.dates[days]
    days = days[(dates >= start - CARRIED_DAYS) & (dates <= end)]
    dates, closes = matrix.dates[days], matrix.closes(symbols, days)
    first = int(np.searchsorted(dates, start, side="right")) - 1
    if first < 0 or first + 1 >= len(dates) or dates[-1] < end - CARRIED_DAYS:
        return Path(np.array([start, end]), np.full((2, len(symbols)), np.nan), np.zeros(len(symbols), np.intp))
    filled, is_old = _carried(closes, dates)
    return Path(dates[first:], filled[first:], is_old[first:].sum(axis=0))


def _carried(closes: FloatArray, dates: DateArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The closes with the last one before in each gap, and where that was done."""
    rows = np.arange(len(dates))[:, np.newaxis]
    known = np.isfinite(closes)
    last = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    is_fresh = (last >= 0) & (dates[rows] - dates[last] <= np.timedelta64(CARRIED_DAYS, "D"))
    return np.where(is_fresh, np.take_along_axis(closes, np.maximum(last, 0), axis=0), np.nan), is_fresh & ~known


def _said(book: StressBook, name: str, path: Path, basis: list[str]) -> Iterator[str]:
    for symbol, each in zip(book.symbols, basis, strict=True):
        if each != "prices":
            yield f"{name}: {symbol} moves as its {each}, as it has no prices of its own through it"
    carried = [f"{symbol} on {days}" for symbol, days in zip(book.symbols, path.carried.tolist(), strict=True) if days]
    if carried:
        yield f"{name}: days without a close have the last one before: {', '.join(carried)} of {len(path.dates)}"


def _refuse_gaps(
    book: StressBook,
    proxies: dict[str, str],
    scenarios: list[dict[str, Any]],
    paths: list[tuple[Path, list[str]]],
    matrix: PriceMatrix,
) -> None:
    missing: dict[str, list[str]] = {}
    for scenario, (path, _) in zip(scenarios, paths, strict=True):
        for place in np.flatnonzero(~np.isfinite(path.closes).all(axis=0)):
            missing.setdefault(book.symbols[place], []).append(scenario["name"])
    if not missing:
        return
    impossible = {name for names in missing.values() for name in names}
    possible = [scenario["name"] for scenario in scenarios if scenario["name"] not in impossible]
    raise ScenarioPricesError(
        " ".join(_gap(symbol, names, proxies.get(symbol), matrix) for symbol, names in missing.items()),
        f'Name a stand-in that has prices then, as in "proxy": {{"{next(iter(missing))}": "SP500"}}, import the prices'
        + (f", or ask for the scenarios {', '.join(possible)} alone." if possible else "."),
        attr="scenarios",
    )


def _gap(symbol: str, names: list[str], proxy: str | None, matrix: PriceMatrix) -> str:
    closes = matrix.closes([symbol], np.arange(len(matrix.dates)))[:, 0]
    priced = matrix.dates[np.isfinite(closes)]
    span = f"its prices run from {priced[0]} to {priced[-1]}" if len(priced) else "it has no price at all"
    neither = f", and its proxy {proxy} has none either" if proxy else ""
    return f"{symbol} has no prices all through {', '.join(names)} ({span}){neither}."
