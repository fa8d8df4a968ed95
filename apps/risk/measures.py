"""What an analysis says beside VaR and expected shortfall (docs/measures.md): figures of the window, over one day."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from apps.portfolios.models import Instrument
from apps.risk.kernels import measures as kernels
from apps.risk.kernels.principal import effective_bets
from apps.risk.methods import PricedBook
from apps.risk.methods.registry import FloatArray

# The reduction behind the number of bets takes about a second for this many, and eight times as long for twice as many.
MOST_FOR_BETS = 1_000
_NAMED = 5


def known_volumes(symbols: Sequence[str]) -> list[list[str]]:
    """Symbol and average daily volume as text, sorted, of those that have one: a part of the exact inputs."""
    rows = Instrument.objects.filter(pk__in=symbols, average_daily_volume__isnull=False)
    return [[symbol, str(volume)] for symbol, volume in rows.order_by("pk").values_list("pk", "average_daily_volume")]


def days_of_volume(positions: Sequence[Sequence[str]], volumes: Sequence[Sequence[str]]) -> FloatArray:
    """|quantity| / average daily volume of each position, NaN where that is unknown; both as the exact inputs say them.

    Divided as decimals and rounded once.
    """
    known = {symbol: Decimal(volume) for symbol, volume in volumes}
    return np.array(
        [float(abs(Decimal(quantity)) / known[symbol]) if symbol in known else np.nan for symbol, quantity in positions]
    )


def further_measures(book: PricedBook, confidence: float, volume_days: FloatArray) -> dict[str, Any]:
    """Figures in the book's currency, positive for a loss, or None with its reason in `warnings`.

    `volume_days` (symbols,) as days_of_volume gives it. `days_to_unwind` is a list, one a position.
    """
    days = kernels.days_to_unwind(volume_days)
    losses = {
        "entropic_var": kernels.entropic_var(book.pnl, confidence),
        "max_drawdown": kernels.max_drawdown(book.pnl),
        "conditional_drawdown_at_risk": kernels.conditional_drawdown(book.pnl, confidence),
    }
    figures = {
        "volatility_daily": kernels.daily_volatility(book.pnl, book.total),
        "volatility_ewma_annual": kernels.ewma_annual_volatility(book.pnl, book.total),
        **losses,
        **{f"{name}_pct": loss / book.total if book.total > 0 else None for name, loss in losses.items()},
        "diversification_ratio": kernels.diversification_ratio(book.returns, book.values, book.pnl),
        "effective_number_of_bets": _bets(book),
        "liquidity_horizon_days": kernels.liquidity_horizon(days),
        "days_to_unwind": [None if np.isnan(number) else float(number) for number in days],
    }
    return {**figures, "warnings": _reasons(book, figures)}


def _bets(book: PricedBook) -> float | None:
    return None if _too_large(book) else effective_bets(book.returns, book.values, book.pnl)


def _too_large(book: PricedBook) -> bool:
    return min(book.returns.shape) > MOST_FOR_BETS


def _reasons(book: PricedBook, figures: dict[str, Any]) -> list[str]:
    """Why a figure is None; those of a book without a value have their sentence elsewhere."""
    said = []
    if figures["diversification_ratio"] is None:
        said.append("the book does not move in the window: diversification_ratio and effective_number_of_bets are null")
    elif _too_large(book):
        days, symbols = book.returns.shape
        said.append(
            f"effective_number_of_bets is null: {symbols} positions over {days} days, and no more than "
            f"{MOST_FOR_BETS} of one of the two are decomposed"
        )
    unknown = [symbol for symbol, number in zip(book.symbols, figures["days_to_unwind"], strict=True) if number is None]
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        said.append(f"liquidity_horizon_days is null: {', '.join(unknown[:_NAMED])}{more} have no average_daily_volume")
    return said
