"""The measures by subject: one function each, from facts (portfolios,) to figures (portfolios,)."""

from apps.analytics.kernels.measures import bets, calendar, falls, relative, returns, risk, tails
from apps.analytics.kernels.measures.figure import FIGURES, NO_BENCHMARK, Figure

__all__ = ["FIGURES", "NO_BENCHMARK", "Figure", "bets", "calendar", "falls", "relative", "returns", "risk", "tails"]
