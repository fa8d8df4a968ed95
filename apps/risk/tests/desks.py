"""A small desk for tests of limits: two symbols with a month of closes, a book of them, limits on it."""

from typing import Any

import numpy as np

from apps.portfolios.histories import refresh_histories
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade
from apps.risk.models import RiskLimit

WINDOW_DAYS = 20
# Every test that uses this desk wants these.
DESK_SETTINGS = {"LIMIT_WINDOW_DAYS": WINDOW_DAYS, "MAX_PRICE_AGE_SECONDS": 0, "DUPLICATE_ORDER_SECONDS": 0.0}


def closes(seed: int, days: int = 30, last: float = 50.0) -> list[float]:
    """A random path that ends at `last`, to two places."""
    moves = np.random.default_rng(seed).normal(0, 0.02, days)
    path = np.exp(np.cumsum(moves))
    return [round(float(price), 2) for price in path / path[-1] * last]


def make_desk(portfolio_id: str = "BOOK", cash: int = 1_000_000, **fields: Any) -> Portfolio:
    """1,000 AAA at 10 and 400 BBB at 50: 30,000 in positions, whatever the cash is."""
    make_prices({"AAA": closes(1, last=10.0), "BBB": closes(2, last=50.0), "CCC": closes(3, last=20.0)})
    portfolio = make_portfolio(portfolio_id, initial_cash=cash, **fields)
    make_trade(portfolio, "AAA", 1_000, 10)
    make_trade(portfolio, "BBB", 400, 50)
    refresh_histories()
    portfolio.refresh_from_db()
    return portfolio


def make_limit(
    portfolio: Portfolio,
    kind: str,
    threshold: float,
    *,
    action: str = "block",
    symbol: str | None = None,
    **fields: Any,
) -> RiskLimit:
    fields.setdefault("warning_threshold", 0.8 * threshold)
    return RiskLimit.objects.create(
        portfolio=portfolio, kind=kind, threshold_value=threshold, action=action, instrument_id=symbol, **fields
    )
