"""Parametric VaR: normal by sample mean and covariance, Student t by maximum likelihood (contract section 5)."""

from apps.risk.kernels.parametric import Elliptical, normal_tail, student_t_tail
from apps.risk.methods.elliptical import Fitted, elliptical_estimate, figure, fitted
from apps.risk.methods.registry import Estimate, FloatArray, Forecast, Parameters, PricedBook, register
from apps.risk.methods.scenarios import Scenarios


def estimate(book: PricedBook, parameters: Parameters) -> Estimate:
    scenarios = Scenarios.of_window(book, parameters)
    fit = fitted(scenarios.pnl, parameters["distribution"])
    return elliptical_estimate(book, scenarios, fit, _tail(fit, parameters["confidence"]))


def forecast(pnl: FloatArray, parameters: Parameters) -> Forecast:
    fit = fitted(pnl, parameters["distribution"])
    tail = _tail(fit, parameters["confidence"])
    return Forecast(figure(fit, tail.quantile), figure(fit, tail.tail_mean), fit.warnings)


def _tail(fit: Fitted, confidence: float) -> Elliptical:
    return normal_tail(confidence) if fit.df is None else student_t_tail(confidence, fit.df)


register("parametric", estimate, forecast, uses=("distribution",))
