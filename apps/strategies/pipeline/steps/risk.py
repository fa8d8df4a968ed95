"""Whether the portfolio's limits allow the book that the version asks for at the newest closes."""

from decimal import Decimal
from typing import Any

import numpy as np
from django.conf import settings

from apps.risk.pretrade.check import check_trades
from apps.risk.pretrade.orders import AskedTrade
from apps.strategies.book import read_book
from apps.strategies.errors import RiskRefusedError
from apps.strategies.kernels.rebalancing import order_quantities
from apps.strategies.pipeline.context import Context, refuse_gross


def run(context: Context) -> dict[str, Any]:
    orders = asked_orders(context)
    if not orders:
        context.say("the portfolio holds what the strategy wants already: no order")
        return {"orders": [], "checks": [], "approved": True}
    day = context.matrix.dates[context.rows()[-1]].item()
    decision = check_trades(context.deployment.portfolio_id, orders, reserve=False, basket=True, valued_on=day)
    reasons = [refusal.detail for refusal in decision.refusals]
    result = {
        "as_of": str(day),
        "orders": decision.trades,
        "checks": decision.checks,
        "approved": decision.approved,
        "reasons": reasons,
        "warnings": decision.warnings,
    }
    if not decision.approved:
        raise RiskStepFailedError("; ".join(reasons), result)
    context.say(f"{len(orders)} orders as of {day}: {len(decision.checks)} limits hold")
    return result


class RiskStepFailedError(RiskRefusedError):
    """Carries the checks."""

    def __init__(self, detail: str, result: dict[str, Any]) -> None:
        super().__init__(f"{detail}.", "Change the strategy, or have a risk manager look at the limit.")
        self.result = result


def asked_orders(context: Context) -> list[AskedTrade]:
    """Sales first: what they free pays for the purchases."""
    rows = context.rows()
    with context.sandbox() as sandbox:
        context.feed(sandbox, rows[-settings.STRATEGY_HISTORY_DAYS :])
        weights = context.as_array(sandbox.target_weights())
    refuse_gross(weights, settings.STRATEGY_MAX_GROSS)
    book = read_book(context.deployment.portfolio_id, context.symbols, context.matrix, int(rows[-1]))
    quantities = order_quantities(weights, book.equity, book.closes, book.held, book.steps, symbols=context.symbols)
    return [
        AskedTrade(context.symbols[place], Decimal(repr(float(quantities[place]))))
        for place in np.argsort(quantities, kind="stable")
        if quantities[place]
    ]
