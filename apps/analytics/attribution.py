"""Brinson-Fachler attribution of a period's active return by sector, against a benchmark's composition."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.analytics.contributions import DailyContributions
from apps.analytics.kernels.attribution import Effects, brinson_fachler, linked
from apps.analytics.kernels.contribution import carino_factors
from apps.analytics.period import Period, gap_of
from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import FloatArray, PriceMatrix
from apps.portfolios.models import Instrument

CASH = "Cash"
UNCLASSIFIED = "Unclassified"


def sectors_of(symbols: set[str]) -> dict[str, str]:
    """Each symbol's sector as it is now; `Unclassified` where it has none."""
    known = dict(Instrument.objects.filter(pk__in=symbols).values_list("symbol", "sector"))
    return {symbol: known.get(symbol) or UNCLASSIFIED for symbol in sorted(symbols)}


def sectors_version() -> str:
    """A name for the state of all sectors: another one after any of them was edited."""
    rows = Instrument.objects.exclude(sector="").order_by("symbol").values_list("symbol", "sector")
    return hashlib.sha256(repr(list(rows)).encode()).hexdigest()


def attribution_of(
    period: Period, daily: DailyContributions, inputs: dict[str, Any], matrix: PriceMatrix
) -> tuple[dict[str, Any] | None, str | None]:
    """The result's field, or None and why.

    The benchmark is composed of `benchmark_weights`, put back to them at every close. Trades at other prices than the
    close are no effect of a sector's weight and stand by themselves, as `trading`.
    """
    weights: dict[str, float] = inputs["benchmark_weights"] or {}
    if not weights:
        return None, "benchmark_weights was not given"
    closes = matrix.closes(list(weights), np.searchsorted(matrix.dates, period.dates))
    gaps = (gap_of(symbol, closes[:, place], period.dates) for place, symbol in enumerate(weights))
    if gap := next(filter(None, gaps), None):
        return None, gap
    if (period.returns <= -1).any():
        return None, "a return of -100 % or less has no logarithm to link effects by"
    return _attributed(period, daily, np.array(list(weights.values())), closes, inputs), None


def _attributed(
    period: Period, daily: DailyContributions, weights: FloatArray, closes: FloatArray, inputs: dict[str, Any]
) -> dict[str, Any]:
    shares = weights / weights.sum()
    contributions = simple_returns(closes)
    contributions *= shares
    benchmark_returns = np.asarray(contributions.sum(axis=1))
    factors = carino_factors(period.returns, benchmark_returns)
    traded = float((daily.traded.sum(axis=1) * factors).sum())
    book, benchmark = _sides(period, daily, shares, contributions, inputs)
    effects = _linked(book, benchmark, factors)
    rows = [row for row in _rows(book, benchmark, effects) if row["sector"] in book.seen | benchmark.seen]
    return {**_totals(period.returns, benchmark_returns, rows, traded), "sectors": rows}


@dataclass(frozen=True, slots=True)
class _Side:
    """The book or the benchmark by sector, (days, sectors); `seen` are the sectors it ever had anything in."""

    sectors: list[str]
    weights: FloatArray
    contributions: FloatArray
    seen: set[str]


def _sides(
    period: Period,
    daily: DailyContributions,
    shares: FloatArray,
    contributions: FloatArray,
    inputs: dict[str, Any],
) -> tuple[_Side, _Side]:
    sector_of: dict[str, str] = inputs["sectors"]
    of_benchmark = [sector_of[symbol] for symbol in inputs["benchmark_weights"]]
    of_book = [sector_of[symbol] for symbol in period.symbols]
    sectors = [*sorted({*of_benchmark, *of_book} - {CASH}), CASH]
    constant = np.broadcast_to(shares, contributions.shape)
    book = _side(sectors, of_book, daily.weights, daily.held)
    book.weights[:, -1] += 1.0 - daily.weights.sum(axis=1)
    return book, _side(sectors, of_benchmark, constant, contributions)


def _side(sectors: list[str], sector_of: list[str], weights: FloatArray, contributions: FloatArray) -> _Side:
    held = (weights != 0).any(axis=0)
    seen = {sector for sector, is_held in zip(sector_of, held, strict=True) if is_held}
    by_sector = [_by_sector(values, sector_of, sectors) for values in (weights, contributions)]
    return _Side(sectors, by_sector[0], by_sector[1], {CASH, *seen})


def _by_sector(values: FloatArray, sector_of: list[str], sectors: list[str]) -> FloatArray:
    """The sums over each sector's symbols: (days, symbols) to (days, sectors)."""
    sums = np.zeros((len(values), len(sectors)))
    for place, sector in enumerate(sector_of):
        sums[:, sectors.index(sector)] += values[:, place]
    return sums


def _linked(book: _Side, benchmark: _Side, factors: FloatArray) -> Effects:
    effects = brinson_fachler(book.weights, book.contributions, benchmark.weights, benchmark.contributions)
    return linked(effects, factors)


def _rows(book: _Side, benchmark: _Side, effects: Effects) -> list[dict[str, Any]]:
    means = book.weights.mean(axis=0)
    return [
        {
            "sector": sector,
            "average_weight": float(means[place]),
            "benchmark_weight": float(benchmark.weights[0, place]),
            "allocation": float(effects.allocation[place]),
            "selection": float(effects.selection[place]),
            "interaction": float(effects.interaction[place]),
            "total": float(effects.total[place]),
        }
        for place, sector in enumerate(book.sectors)
    ]


def _totals(
    returns: FloatArray, benchmark_returns: FloatArray, rows: list[dict[str, Any]], traded: float
) -> dict[str, Any]:
    whole = [float(np.multiply.reduce(1.0 + each)) - 1.0 for each in (returns, benchmark_returns)]
    active = whole[0] - whole[1]
    sums = {name: float(sum(row[name] for row in rows)) for name in ("allocation", "selection", "interaction")}
    return {
        "benchmark_return": whole[1],
        "active_return": active,
        **sums,
        "trading": traded,
        "residual": active - sum(sums.values()) - traded,
    }
