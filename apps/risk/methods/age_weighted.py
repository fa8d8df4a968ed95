"""Historical simulation in which a scenario counts less the older it is (Boudoukh, Richardson & Whitelaw 1998)."""

import numpy as np

from apps.risk.kernels.tail import incremental
from apps.risk.kernels.weighted import age_weights, weighted_tail_split, weighted_var_es
from apps.risk.methods.registry import Estimate, FloatArray, Forecast, Parameters, PricedBook, register
from apps.risk.methods.scenarios import Scenarios, scaled_estimate


def estimate(book: PricedBook, parameters: Parameters) -> Estimate:
    scenarios = Scenarios.of_window(book, parameters)
    confidence = parameters["confidence"]
    weights = age_weights(len(scenarios.pnl), parameters["decay"])
    split = weighted_tail_split(scenarios.returns, book.values, scenarios.pnl, weights, confidence)
    without_each = incremental(
        scenarios.returns, book.values, scenarios.pnl, lambda books: weighted_var_es(books, weights, confidence)
    )
    return scaled_estimate(book, scenarios, split, without_each, _thin_tail(weights, confidence))


def forecast(pnl: FloatArray, parameters: Parameters) -> Forecast:
    weights = age_weights(len(pnl), parameters["decay"])
    var, shortfall = weighted_var_es(pnl[:, np.newaxis], weights, parameters["confidence"])
    return Forecast(float(var[0]), float(shortfall[0]), _thin_tail(weights, parameters["confidence"]))


def _thin_tail(weights: FloatArray, confidence: float) -> tuple[str, ...]:
    if weights[-1] <= 1 - confidence:
        return ()
    return (
        f"the newest day alone weighs {weights[-1]:.4g}, more than the tail of {1 - confidence:.4g}: "
        "a loss on that day would be the VaR by itself",
    )


register("age_weighted", estimate, forecast, uses=("decay",))
