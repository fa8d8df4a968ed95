"""Whether the portfolio's limits allow the book that the version asks for at the newest closes."""

from typing import Any

from apps.risk.pretrade.check import check_trades
from apps.risk.pretrade.orders import AskedTrade
from apps.strategies.book import read_book
from apps.strategies.errors import RiskRefusedError
from apps.strategies.pipeline.context import Context
from apps.strategies.sizing import planned_orders, universe_of, valued_on


def run(context: Context) -> dict[str, Any]:
    orders = _asked_trades(context)
    if not orders:
        context.say("the portfolio holds what the strategy wants already: no order")
        return {"orders": [], "checks": [], "approved": True}
    day = context.matrix.dates[context.rows()[-1]].item()
    decision = check_trades(
        context.deployment.portfolio_id,
        orders,
        reserve=False,
        basket=True,
        valued_on=valued_on(context.deployment, day),
    )
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


def _asked_trades(context: Context) -> list[AskedTrade]:
    """Those that a run on the newest day would send, sales first."""
    row = int(context.rows()[-1])
    with context.strategies() as strategies:
        weights = strategies.ask(context.deployment, row).weights
    universe = universe_of(context.deployment, weights)
    book = read_book(context.deployment.portfolio_id, universe, context.matrix, row)
    return [AskedTrade(order.symbol, order.quantity) for order in planned_orders(book, weights)]
