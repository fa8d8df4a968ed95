"""Monte Carlo: symbols drawn together from the window's covariance, normal or Student t, antithetic and seeded.

Means, covariance, location, scale and degrees of freedom are those of the parametric method, to which this one
converges. A backtest's forecast draws the book's P&L itself, which for a linear book has the same distribution.
"""

from functools import lru_cache

import numpy as np

from apps.risk.kernels.monte_carlo import SimulatedTail, loadings, simulate, simulated_tail
from apps.risk.methods.elliptical import elliptical_estimate, figure, fitted
from apps.risk.methods.registry import Estimate, FloatArray, Forecast, Parameters, PricedBook, register
from apps.risk.methods.scenarios import Scenarios


def estimate(book: PricedBook, parameters: Parameters) -> Estimate:
    scenarios = Scenarios.of_window(book, parameters)
    fit = fitted(scenarios.pnl, parameters["distribution"])
    weights = loadings(scenarios.returns, book.values, scenarios.pnl)
    moves = simulate(weights, parameters["paths"], parameters["seed"], fit.df)
    simulated = simulated_tail(moves, parameters["confidence"])
    return elliptical_estimate(book, scenarios, fit, simulated.tail, simulated.standard_error)


def forecast(pnl: FloatArray, parameters: Parameters) -> Forecast:
    fit = fitted(pnl, parameters["distribution"])
    tail = _standard_tail(parameters["paths"], parameters["seed"], fit.df, parameters["confidence"]).tail
    return Forecast(figure(fit, tail.quantile), figure(fit, tail.tail_mean), fit.warnings)


@lru_cache(maxsize=64)
def _standard_tail(paths: int, seed: int, df: float | None, confidence: float) -> SimulatedTail:
    return simulated_tail(simulate(np.ones(1), paths, seed, df), confidence)


register("monte_carlo", estimate, forecast, uses=("distribution", "paths", "seed"))
