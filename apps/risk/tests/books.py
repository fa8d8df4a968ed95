"""Books as arrays, for tests of kernels and methods: no database behind them."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.risk.kernels.historical import scenario_pnl
from apps.risk.methods import PricedBook

SAMPLE_DATA = Path(__file__).parents[3] / "sample_data"
SAMPLE_PORTFOLIOS = ["PORTFOLIO_001", "PORTFOLIO_002", "PORTFOLIO_003"]
CONFIDENCES = [0.9, 0.95, 0.975, 0.99, 0.995]


@lru_cache
def sample_prices() -> pd.DataFrame:
    return pd.read_csv(SAMPLE_DATA / "daily_prices.csv.gz", index_col="date")


def sample_book(portfolio_id: str, days: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """The last `days` returns and the values as of 2022-12-28 of the symbols that the book holds."""
    trades = pd.read_csv(SAMPLE_DATA / "trades.csv").query("portfolio_id == @portfolio_id")
    held = trades.groupby("symbol")["quantity"].sum().loc[lambda quantity: quantity != 0]
    closes = sample_prices().tail(days + 1)[held.index].to_numpy(float)
    return closes[1:] / closes[:-1] - 1, held.to_numpy(float) * closes[-1]


def random_book(seed: int, days: int = 120, symbols: int = 7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_t(4, (days, symbols)) * 0.01, random.normal(0, 1e5, symbols)


def priced_book(returns: np.ndarray, values: np.ndarray, cash: float = 0.0) -> PricedBook:
    return PricedBook(
        symbols=tuple(f"S{number:04d}" for number in range(len(values))),
        values=values,
        returns=returns,
        dates=np.datetime64("2020-01-01") + np.arange(len(returns)),
        pnl=scenario_pnl(returns, values),
        total=cash + float(values.sum()),
    )


def parameters(**changes: Any) -> dict[str, Any]:
    """What the API fills in, with fewer paths than there."""
    defaults = {
        "confidence": 0.99,
        "horizon_days": 1,
        "horizon_method": "sqrt_time",
        "distribution": "normal",
        "paths": 20_000,
        "seed": 0,
        "decay": 0.98,
    }
    return {**defaults, **changes}
