"""Historical simulation: today's book through the returns of the window (docs/contract.md section 5)."""

from typing import Any

from apps.risk.kernels.historical import (
    decompose,
    expected_shortfall,
    overlapping_returns,
    scale_horizon,
    scenario_pnl,
    worst_scenarios,
)
from apps.risk.methods.registry import Estimate, PricedBook, Scenario, method

WORST_SHOWN = 10


@method("historical")
def historical(book: PricedBook, parameters: dict[str, Any]) -> Estimate:
    confidence, horizon = parameters["confidence"], parameters["horizon_days"]
    overlaps = parameters["horizon_method"] == "overlapping"
    returns = overlapping_returns(book.returns, horizon) if overlaps else book.returns
    dates = book.dates[len(book.dates) - len(returns) :]
    days_to_scale = 1 if overlaps else horizon
    pnl = scenario_pnl(returns, book.values)
    split = decompose(returns, book.values, confidence).scaled(days_to_scale)
    return Estimate(
        var=split.var,
        expected_shortfall=scale_horizon(expected_shortfall(pnl, confidence), days_to_scale),
        observations=len(pnl),
        component=split.component,
        marginal=split.marginal,
        incremental=split.incremental,
        worst=[Scenario(str(dates[row]), float(pnl[row])) for row in worst_scenarios(pnl, WORST_SHOWN)],
    )
