"""Historical simulation: today's book through the returns of the window (docs/contract.md section 5)."""

from apps.risk.kernels.historical import expected_shortfall, value_at_risk
from apps.risk.methods.registry import Estimate, FloatArray, Forecast, Parameters, PricedBook, register
from apps.risk.methods.scenarios import Scenarios, scenario_estimate


def estimate(book: PricedBook, parameters: Parameters) -> Estimate:
    return scenario_estimate(book, Scenarios.of_window(book, parameters), parameters)


def forecast(pnl: FloatArray, parameters: Parameters) -> Forecast:
    confidence = parameters["confidence"]
    return Forecast(value_at_risk(pnl, confidence), expected_shortfall(pnl, confidence))


register("historical", estimate, forecast)
