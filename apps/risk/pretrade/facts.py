"""Reads what a check is decided on, in one statement."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.portfolios.errors import PortfolioNotFoundError
from apps.portfolios.names import is_portfolio_id
from apps.risk.pretrade.orders import AskedTrade, EarlierOrder, Facts, InstrumentRow, Leg, LimitRow
from nautilus.api.access import sees_every_portfolio
from nautilus.database import run_prepared

_FACTS = (Path(__file__).parents[1] / "sql" / "pretrade_facts.sql").read_text()


def read_facts(portfolio_id: str, trades: Sequence[AskedTrade], user: Any) -> Facts:
    """`user` None sees every portfolio. Raises PortfolioNotFoundError for one that is not there or is hidden."""
    parameters = {
        "portfolio_id": portfolio_id,
        "symbols": [trade.symbol for trade in trades],
        "order_ids": [trade.order_id for trade in trades if trade.order_id],
        **visibility(user),
        "duplicate_seconds": settings.DUPLICATE_ORDER_SECONDS,
    }
    rows = run_prepared(_FACTS, parameters) if is_portfolio_id(portfolio_id) else []
    if not rows:
        raise PortfolioNotFoundError(portfolio_id)
    return _facts(json.loads(rows[0]["facts"]))


def visibility(user: Any) -> dict[str, Any]:
    """The parameters of the rule in the statements; None sees every portfolio."""
    return {
        "user_id": None if user is None else user.pk,
        "sees_all": user is None or sees_every_portfolio(user),
    }


def _facts(row: dict[str, Any]) -> Facts:
    return Facts(
        currency=row["base_currency"],
        trading_state=row["trading_state"],
        closed_at=row["closed_at"] and datetime.fromisoformat(row["closed_at"]),
        benchmark=row["benchmark"],
        cash=row["cash"],
        ledger_version=row["ledger_version"],
        history_version=(row["history_ledger_version"], row["history_price_version"]),
        short_selling_allowed=row["short_selling_allowed"],
        leverage_allowed=row["leverage_allowed"],
        price_version=row["price_version"],
        halt=row["halt"],
        now=datetime.fromisoformat(row["now"]),
        limits=tuple(LimitRow(*each) for each in row["limits"]),
        reserved=tuple(Leg(*each) for each in row["reserved"]),
        instruments={each[0]: InstrumentRow(*each[:3], *map(_decimal, each[3:])) for each in row["instruments"]},
        recent=dict(row["recent"]),
        similar=tuple(
            EarlierOrder(reservation, order_id, symbol, Decimal(quantity), Decimal(price))
            for reservation, order_id, symbol, quantity, price in row["similar"]
        ),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
