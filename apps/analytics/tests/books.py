"""Books for the tests of performance, and the job that measures them."""

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from apps.analytics.performance import run_performance
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

DAYS = trading_days(300)
SECTORS = {"AAA": "Energy", "BBB": "Energy", "CCC": "Technology", "DDD": ""}


def calculate(portfolio_id: str = "BOOK", **parameters: Any) -> Task:
    dates = {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1])}
    inputs = {**dates, "benchmark": None, "risk_free_rate": 0.0, **parameters}
    task = make_task("calculate_portfolio_performance", inputs, portfolio_id=portfolio_id)
    execute(take(str(task.pk), "w1"), run_performance)
    task.refresh_from_db()
    return task


def random_closes(days: int = 300, seed: int = 1) -> dict[str, list[float]]:
    """Four symbols that move together and an index."""
    random = np.random.default_rng(seed)
    market = random.normal(0.0003, 0.01, days)
    own = random.normal(0, 0.008, (days, 4)) + market[:, None]
    closes = 50 * np.exp(np.cumsum(np.column_stack([own, market]), axis=0))
    return {symbol: np.round(closes[:, place], 4).tolist() for place, symbol in enumerate((*SECTORS, "IDX"))}


def make_traded_book() -> Portfolio:
    """Long, short and flipped over 300 days, with money paid in and out, and trades off the close."""
    make_prices(random_closes())
    for symbol, sector in SECTORS.items():
        Instrument.objects.filter(pk=symbol).update(sector=sector)
    portfolio = make_portfolio("BOOK", initial_cash=100_000, benchmark="IDX")
    trades = [("AAA", 500, 50, 0), ("BBB", 400, 51, 3), ("CCC", -200, 49, 10), ("DDD", 300, 52, 20)]
    trades += [("AAA", 100, 53, 40), ("AAA", -250, 52, 90), ("CCC", 350, 48, 120), ("BBB", -400, 55, 200)]
    for symbol, quantity, price, day in trades:
        make_trade(portfolio, symbol, quantity, price, day=DAYS[day])
    _pay(portfolio, 25_000, DAYS[60])
    _pay(portfolio, -10_000, DAYS[150])
    return portfolio


def _pay(portfolio: Portfolio, amount: int, day: date) -> None:
    book_cash_flow(portfolio.id, Decimal(amount), day)
