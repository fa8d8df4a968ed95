"""What each position contributed to a period's return, and how much was traded for it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.analytics.kernels.contribution import DailyGains, carino_factors, daily_gains
from apps.analytics.period import Period
from apps.portfolios.matrix import FloatArray
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR

TOTAL_LOSS = "a return of -100 % or less has no logarithm to link contributions by"


@dataclass(frozen=True, slots=True)
class DailyContributions:
    """Fractions of the value at the close before, (days, symbols): of what was held, and of the day's trades."""

    weights: FloatArray
    held: FloatArray
    traded: FloatArray


def gains_of(period: Period) -> DailyGains:
    trades = (period.trade_day, period.trade_symbol, period.trade_quantity, period.trade_price)
    return daily_gains(period.prices, period.quantities, *trades)


def daily_contributions(period: Period, gains: DailyGains) -> DailyContributions:
    before = period.values[:-1, None]
    held = period.quantities[:-1]
    worth = np.multiply(held, period.prices[:-1], out=np.zeros(held.shape), where=held != 0)
    return DailyContributions(worth / before, gains.held / before, gains.traded / before)


def contributions_of(period: Period, gains: DailyGains, total_return: float | None) -> dict[str, Any]:
    """The result's fields: a row a position, largest P&L first, and what is left over beside them.

    With the cash's (0: it earns nothing) and the residual (rounding alone) the rows add up to the total return.
    """
    daily = daily_contributions(period, gains)
    held, traded = _linked(period, daily)
    pnl = (gains.held + gains.traded).sum(axis=0)
    weights = daily.weights.mean(axis=0)
    touched = (period.quantities != 0).any(axis=0)
    touched[period.trade_symbol] = True
    rows = [_row(symbol, place, held, traded, pnl, weights) for place, symbol in enumerate(period.symbols)]
    shown = [row for row, is_touched in zip(rows, touched, strict=True) if is_touched]
    shown.sort(key=lambda row: (-row["pnl"], row["symbol"]))
    return {"contributions": shown, **_rest(held, traded, total_return)}


def turnover_of(period: Period) -> float | None:
    """Traded notional over the mean value, a year: bought and sold both count. None where the mean is not above 0."""
    mean = float(period.values.mean())
    traded = float(np.abs(period.trade_quantity * period.trade_price).sum())
    return traded / mean * TRADING_DAYS_PER_YEAR / len(period.returns) if mean > 0 else None


def _linked(period: Period, daily: DailyContributions) -> tuple[FloatArray | None, FloatArray | None]:
    if (period.returns <= -1).any():
        return None, None
    factors = carino_factors(period.returns)[:, None]
    return (daily.held * factors).sum(axis=0), (daily.traded * factors).sum(axis=0)


def _row(
    symbol: str,
    place: int,
    held: FloatArray | None,
    traded: FloatArray | None,
    pnl: FloatArray,
    weights: FloatArray,
) -> dict[str, Any]:
    has = held is not None and traded is not None
    return {
        "symbol": symbol,
        "contribution": float(held[place] + traded[place]) if has else None,  # type: ignore[index]
        "trading_contribution": float(traded[place]) if has else None,  # type: ignore[index]
        "pnl": float(pnl[place]),
        "average_weight": float(weights[place]),
    }


def _rest(held: FloatArray | None, traded: FloatArray | None, total_return: float | None) -> dict[str, Any]:
    names = ("cash_contribution", "trading_contribution", "contribution_residual")
    if held is None or traded is None or total_return is None:
        return dict.fromkeys(names)
    residual = total_return - float((held + traded).sum())
    return dict(zip(names, (0.0, float(traded.sum()), residual), strict=True))
