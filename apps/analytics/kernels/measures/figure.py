"""What a measure is: its formula over the facts, and what a series can lack that it needs.

A formula gives NaN or infinity where there is no such figure; the first lack that holds says why.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.rows import ROUNDING_SPREAD, BoolArray, FloatArray
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR

YEAR = float(TRADING_DAYS_PER_YEAR)
ROOT_YEAR = math.sqrt(YEAR)

Formula = Callable[[Facts], FloatArray]


@dataclass(frozen=True, slots=True)
class Lack:
    """Why there can be no figure: `words`, where `holds` (portfolios,), or one for all of them."""

    words: str
    holds: Callable[[Facts], BoolArray | np.bool_]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure under its public name."""

    name: str
    formula: Formula
    lacks: tuple[Lack, ...]


FIGURES: dict[str, Figure] = {}


def figure(*lacks: Lack) -> Callable[[Formula], Formula]:
    """Makes the function a measure under its own name; `lacks` are asked in order."""

    def register(formula: Formula) -> Formula:
        FIGURES[formula.__name__] = Figure(formula.__name__, formula, lacks)
        return formula

    return register


def compounded(growth: FloatArray, exponent: FloatArray | np.float64 | float) -> FloatArray:
    """growth^exponent - 1; NaN for a growth below zero, which no rate compounds to."""
    return np.asarray(np.power(np.where(growth < 0, np.nan, growth), exponent) - 1.0)


def annualized(growth: FloatArray, days: FloatArray | np.float64) -> FloatArray:
    """growth^(252 / days) - 1; NaN for a growth below zero."""
    return compounded(growth, YEAR / days)


def deviation(squares: FloatArray, days: FloatArray | np.float64) -> FloatArray:
    """Standard deviation (n - 1) from the sum of squared deviations."""
    return np.asarray(np.sqrt(squares / (days - 1.0)))


ONE_RETURN = Lack("one return only: a standard deviation needs two", lambda known: known.days < 2)
THREE_RETURNS = Lack("fewer than three returns", lambda known: known.days < 3)
FOUR_RETURNS = Lack("fewer than four returns", lambda known: known.days < 4)
CONSTANT = Lack("zero volatility: the returns do not vary", lambda known: known.moments.squares == 0)
NO_SHORTFALL = Lack("no shortfall: no excess return below zero", lambda known: known.moments.shortfall_squares == 0)
NO_WIN = Lack("no day with a gain", lambda known: known.runs.wins == 0)
NO_LOSS = Lack("no day with a loss", lambda known: known.runs.losses == 0)
NO_MOVE = Lack("no day with a return other than zero", lambda known: known.runs.wins + known.runs.losses == 0)
NO_DRAWDOWN = Lack("no drawdown", lambda known: known.path.drawdowns == 0)
LOST_MORE = Lack("more than everything was lost", lambda known: known.path.end < 0)
LOST_ALL = Lack("everything was lost: a logarithm needs something left", lambda known: known.moments.low <= -1)
FLAT = Lack(
    "the value never moves", lambda known: np.maximum(-known.moments.low, known.moments.high) <= ROUNDING_SPREAD
)

NO_DATES = Lack("no dates", lambda known: np.bool_(known.series.calendar is None))

NO_BENCHMARK = Lack("no benchmark", lambda known: np.bool_(known.series.benchmark is None))
NO_REGRESSION = Lack("one return only: a regression needs two", lambda known: known.days < 2)
CONSTANT_BENCHMARK = Lack("the benchmark does not vary", lambda known: known.market.squares == 0)
NO_RISE = Lack("no day on which the benchmark rises", lambda known: known.market.up_days == 0)
NO_FALL = Lack("no day on which the benchmark falls", lambda known: known.market.down_days == 0)
