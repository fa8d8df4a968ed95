"""What an estimate takes, estimated before anything is queued: above the limits there is a clear refusal."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from apps.portfolios.models import Instrument, Trade
from apps.risk.errors import TooExpensiveError
from apps.risk.methods import DISTRIBUTIONS


def check_cost(portfolio_id: str, estimates: Sequence[dict[str, Any]], window_days: int) -> None:
    """Refuses what would take a worker's memory or minutes: `estimates` are the methods with their parameters.

    Symbols are those that the portfolio has ever traded: what it held at any date is not more. Memory is some copies
    of the window (days x symbols); of simulated paths only the book's P&L is kept, so they cost time alone.
    Raises TooExpensiveError.
    """
    symbols = Trade.objects.filter(portfolio_id=portfolio_id).values("instrument_id").distinct().count()
    _check_window(window_days, symbols)
    factors = max(1, min(window_days, symbols))
    simulated = [one for one in estimates if one["method"] == "monte_carlo"]
    draws = sum(one["paths"] * factors for one in simulated)
    if draws > settings.RISK_MAX_DRAWS:
        raise TooExpensiveError(
            f"{simulated[0]['paths']:,} paths of {symbols:,} symbols"
            + (f" for {len(simulated)} distributions" if len(simulated) == len(DISTRIBUTIONS) else "")
            + f" are {draws:,} draws; the limit is {settings.RISK_MAX_DRAWS:,}.",
            f"Ask for paths of {settings.RISK_MAX_DRAWS // (factors * len(simulated)):,} or less.",
            "paths",
        )


def check_batch_cost(window_days: int) -> None:
    """Refuses a window of all symbols there are that would take a worker's memory. Raises TooExpensiveError."""
    _check_window(window_days, Instrument.objects.count())


def check_backtest_cost(portfolio_id: str, parameters: dict[str, Any]) -> None:
    """Refuses a backtest whose windows, or whose forecasts' draws, would take a worker's minutes.

    Each tested day takes window x symbols products; simulated paths of the book's own P&L are drawn anew for each day
    where the degrees of freedom differ from day to day. Raises TooExpensiveError.
    """
    check_cost(portfolio_id, [], parameters["window_days"])
    symbols = Trade.objects.filter(portfolio_id=portfolio_id).values("instrument_id").distinct().count()
    per_day = parameters["window_days"] * max(1, symbols)
    if "monte_carlo" in parameters["methods"] and parameters["distribution"] == "student_t":
        per_day = max(per_day, parameters["paths"])
    steps = per_day * parameters["test_days"]
    if steps > settings.RISK_MAX_DRAWS:
        raise TooExpensiveError(
            f"{parameters['test_days']:,} days of {per_day:,} products or draws each are {steps:,}; the limit is "
            f"{settings.RISK_MAX_DRAWS:,}.",
            f"Ask for test_days of {settings.RISK_MAX_DRAWS // per_day:,} or less, a shorter window or fewer paths.",
            "test_days",
        )


def _check_window(window_days: int, symbols: int) -> None:
    if window_days * symbols > settings.RISK_MAX_WINDOW_CELLS:
        raise TooExpensiveError(
            f"A window of {window_days:,} days of {symbols:,} symbols is {window_days * symbols:,} returns; "
            f"the limit is {settings.RISK_MAX_WINDOW_CELLS:,}.",
            f"Ask for window_days of {settings.RISK_MAX_WINDOW_CELLS // symbols:,} or less.",
            "window_days",
        )
