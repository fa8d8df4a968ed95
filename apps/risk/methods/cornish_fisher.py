"""Cornish-Fisher VaR: the normal quantile, corrected for the skewness and kurtosis of the book's P&L."""

import numpy as np

from apps.risk.kernels.cornish_fisher import Shape, cornish_fisher, cornish_fisher_marginals, is_valid, shape_of
from apps.risk.kernels.historical import worst_scenarios
from apps.risk.kernels.tail import exact_split, incremental
from apps.risk.methods.registry import Estimate, FloatArray, Forecast, Parameters, PricedBook, Scenario, register
from apps.risk.methods.scenarios import WORST_SHOWN, Scenarios


def estimate(book: PricedBook, parameters: Parameters) -> Estimate:
    scenarios = Scenarios.of_window(book, parameters)
    confidence, scale = parameters["confidence"], scenarios.scale
    own = shape_of(scenarios.pnl[:, np.newaxis])
    without_each = incremental(
        scenarios.returns, book.values, scenarios.pnl, lambda books: cornish_fisher(shape_of(books), confidence)
    )
    marginal = np.stack(cornish_fisher_marginals(scenarios.returns, scenarios.pnl, confidence)) * scale
    (var, shortfall), components = exact_split(marginal * book.values)
    worst = worst_scenarios(scenarios.pnl, WORST_SHOWN)
    return Estimate(
        var=var,
        expected_shortfall=shortfall,
        observations=len(scenarios.pnl),
        component_var=components[0],
        marginal_var=marginal[0],
        incremental_var=without_each[0] * scale,
        component_es=components[1],
        marginal_es=marginal[1],
        incremental_es=without_each[1] * scale,
        worst=[Scenario(str(scenarios.dates[row]), float(scenarios.pnl[row])) for row in worst],
        warnings=[*book.warnings, *_outside(own)],
    )


def forecast(pnl: FloatArray, parameters: Parameters) -> Forecast:
    own = shape_of(pnl[:, np.newaxis])
    var, shortfall = cornish_fisher(own, parameters["confidence"])
    return Forecast(float(var[0]), float(shortfall[0]), _outside(own))


def _outside(shape: Shape) -> tuple[str, ...]:
    skewness, kurtosis = float(shape.skewness[0]), float(shape.kurtosis[0])
    if is_valid(skewness, kurtosis):
        return ()
    return (
        f"skewness {skewness:.3f} and excess kurtosis {kurtosis:.3f} are outside the domain in which the "
        "Cornish-Fisher expansion is a quantile function (Maillard 2012): compare with historical",
    )


register("cornish_fisher", estimate, forecast)
