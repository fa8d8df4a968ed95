"""Asking the pre-trade check about trades of the desk's book."""

from decimal import Decimal
from typing import Any

from apps.risk.pretrade.check import check_trades
from apps.risk.pretrade.orders import AskedTrade, Decision


def ask(quantity: float, symbol: str = "AAA", price: float | None = None, **how) -> Decision:
    order_id = how.pop("order_id", None)
    asked = AskedTrade(symbol, Decimal(str(quantity)), None if price is None else Decimal(str(price)), order_id)
    return check_trades(how.pop("portfolio_id", "BOOK"), [asked], reserve=how.pop("reserve", False), **how)


def codes(decision: Decision) -> list[str]:
    return [refusal.code for refusal in decision.refusals]


def only_check(decision: Decision) -> dict[str, Any]:
    (check,) = decision.checks
    return check


def basket(*trades: tuple[str, int], **how) -> Decision:
    asked = [AskedTrade(symbol, Decimal(quantity)) for symbol, quantity in trades]
    return check_trades("BOOK", asked, reserve=how.pop("reserve", False), basket=True, **how)
