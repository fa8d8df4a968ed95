"""Filtered historical simulation: the window's shocks at the volatility expected now, by GARCH(1,1) or else EWMA."""

import numpy as np

from apps.risk.kernels.filtering import EWMA_DECAY, ewma_volatility, filter_factors, fit_garch, garch_volatility
from apps.risk.kernels.historical import expected_shortfall, value_at_risk
from apps.risk.methods.registry import Estimate, FloatArray, Forecast, Parameters, PricedBook, register
from apps.risk.methods.scenarios import Scenarios, scenario_estimate

FEWEST_FOR_GARCH = 100
_FIT_GRID = 2.0**24
# Beyond this the variance has no mean to come back to, as in the weighted average.
_LARGEST_PERSISTENCE = 1 - 1e-6


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
    from arch.univariate import GARCH

    # A zero mean, because a day's mean is noise beside its volatility. The search stops where the likelihood is flat to
    # its tolerance, which last bits can move: it never sees them, so that a multiple of a book has the same fit.
    shocks = np.rint(pnl / unit * _FIT_GRID) / _FIT_GRID
    fit = fit_garch(shocks, float(GARCH(1, 0, 1).backcast(shocks)))
    if not fit.converged or fit.alpha + fit.beta > _LARGEST_PERSISTENCE:
        return None, f"GARCH(1,1) did not converge (alpha {fit.alpha:.3f}, beta {fit.beta:.3f})"
    return garch_volatility(pnl / unit, fit.omega, fit.alpha, fit.beta, fit.start), ""


register("filtered_historical", estimate, forecast)
