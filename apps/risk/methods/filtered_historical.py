"""Filtered historical simulation: the window's shocks at the volatility expected now, by GARCH(1,1) or else EWMA."""

import numpy as np

from apps.risk.kernels.filtering import EWMA_DECAY, ewma_volatility, filter_factors, garch_volatility
from apps.risk.kernels.historical import expected_shortfall, value_at_risk
from apps.risk.methods.registry import Estimate, FloatArray, Forecast, Parameters, PricedBook, register
from apps.risk.methods.scenarios import Scenarios, scenario_estimate

FEWEST_FOR_GARCH = 100
_FIT_GRID = 2.0**24


def estimate(book: PricedBook, parameters: Parameters) -> Estimate:
    factors, warnings = _factors(book.pnl)
    filtered = book.returns * factors[:, np.newaxis]
    scenarios = Scenarios.of_returns(book, filtered, book.pnl * factors, parameters)
    return scenario_estimate(book, scenarios, parameters, warnings)


def forecast(pnl: FloatArray, parameters: Parameters) -> Forecast:
    factors, warnings = _factors(pnl)
    filtered, confidence = pnl * factors, parameters["confidence"]
    return Forecast(value_at_risk(filtered, confidence), expected_shortfall(filtered, confidence), warnings)


def _factors(pnl: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    volatility, why_not = _garch(pnl)
    if volatility is not None:
        return filter_factors(volatility), ()
    warning = f"{why_not}: volatility is an exponentially weighted average (decay {EWMA_DECAY}) instead"
    return filter_factors(ewma_volatility(pnl)), (warning,)


def _garch(pnl: FloatArray) -> tuple[FloatArray | None, str]:
    """Volatilities by maximum likelihood, or None and why there are none."""
    if len(pnl) < FEWEST_FOR_GARCH:
        return None, f"{len(pnl)} days are too few for GARCH (at least {FEWEST_FOR_GARCH})"
    unit = float(np.std(pnl))
    if unit <= 1e-14 * float(np.abs(pnl).max()):
        return None, "the P&L does not move, so GARCH has nothing to fit"
    # Imported where it is needed: it brings statsmodels along, some 60 MB in each worker process.
    from arch.univariate import GARCH, ZeroMean

    # The optimizer wants numbers near one; a zero mean, because a day's mean is noise beside its volatility. It stops
    # where the likelihood is flat to its tolerance, which last bits can move: it never sees them, so that a multiple of
    # a book has the same fit.
    shocks = np.rint(pnl / unit * _FIT_GRID) / _FIT_GRID
    model = ZeroMean(shocks, volatility=GARCH(1, 0, 1), rescale=False)
    fit = model.fit(disp="off", show_warning=False)
    omega, alpha, beta = fit.params.tolist()
    if fit.convergence_flag != 0 or not np.isfinite(fit.params).all() or not 0 <= alpha + beta < 1:
        return None, f"GARCH(1,1) did not converge (alpha {alpha:.3f}, beta {beta:.3f})"
    start = float(np.asarray(fit.conditional_volatility)[0]) ** 2
    return garch_volatility(pnl / unit, omega, alpha, beta, start), ""


register("filtered_historical", estimate, forecast)
