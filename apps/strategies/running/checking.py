"""Orders of a decision before they are sent: what of them the pre-trade check approves, taken together."""

from collections.abc import Sequence
from datetime import date

from apps.risk.pretrade.check import check_trades
from apps.risk.pretrade.orders import AskedTrade, Decision


def refusals(portfolio_id: str, trades: Sequence[AskedTrade], valued_on: date | None) -> dict[int, list[str]]:
    """Why not, by place; nothing where all are approved. At the closes of that day, on the book as it is now.

    A sale pays for a purchase of the same decision, so they are checked as one basket. Where that is refused, each is
    asked about on top of those approved before it, in their order, and what is refused does not stop the others.
    """
    if not trades or _check(portfolio_id, trades, valued_on).approved:
        return {}
    approved: list[AskedTrade] = []
    refused: dict[int, list[str]] = {}
    for place, trade in enumerate(trades):
        decision = _check(portfolio_id, [*approved, trade], valued_on)
        if decision.approved:
            approved.append(trade)
        else:
            refused[place] = reasons_of(decision)
    return refused


def reasons_of(decision: Decision) -> list[str]:
    return [refusal.detail for refusal in decision.refusals]


def _check(portfolio_id: str, trades: Sequence[AskedTrade], valued_on: date | None) -> Decision:
    return check_trades(portfolio_id, trades, reserve=False, basket=True, valued_on=valued_on)
