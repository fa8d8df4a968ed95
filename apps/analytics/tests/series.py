"""Series that the tests of measures share: those of the sample portfolios, and random ones."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from apps.portfolios.kernels.valuation import simple_returns, time_weighted_returns, value_history

SAMPLE_DATA = Path(__file__).parents[3] / "sample_data"
SAMPLES = ["PORTFOLIO_001", "PORTFOLIO_002", "PORTFOLIO_003"]


@cache
def sample_series(portfolio_id: str) -> tuple[pd.DatetimeIndex, np.ndarray, np.ndarray]:
    """Dates, returns of the book and of SP500, from the day after its inception to 2022-12-28."""
    prices = pd.read_csv(SAMPLE_DATA / "daily_prices.csv.gz", index_col="date")
    trades = pd.read_csv(SAMPLE_DATA / "trades.csv").query("portfolio_id == @portfolio_id")
    book = pd.read_csv(SAMPLE_DATA / "portfolios.csv", index_col="portfolio_id").loc[portfolio_id]
    prices = prices.loc[book["inception_date"] :]
    closes = prices.to_numpy(float)
    history = value_history(
        closes,
        prices.index.get_indexer(trades["traded_at"].str[:10]),
        prices.columns.get_indexer(trades["symbol"]),
        trades["quantity"].to_numpy(float),
        trades["price"].to_numpy(float),
        float(book["initial_cash"]),
    )
    dates = pd.DatetimeIndex(prices.index[1:])
    market = simple_returns(closes)[:, prices.columns.get_loc("SP500")]
    return dates, time_weighted_returns(history.values, history.net_flows), market


def random_series(seed: int) -> tuple[pd.DatetimeIndex, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    market = random.normal(0.0004, 0.01, 400)
    return pd.bdate_range("2020-01-01", periods=400), 0.7 * market + random.standard_t(4, 400) * 0.006, market


def odd_series(seed: int) -> pd.Series:
    """60 returns in thousandths, with ties; by the seed also mostly zero, sorted, in steps, or alike but for one."""
    random = np.random.default_rng(seed)
    returns = random.integers(-60, 61, 60) / 1000
    kinds: list[Callable[[], np.ndarray]] = [
        lambda: returns,
        lambda: np.where(random.random(60) < 0.8, 0, returns),
        lambda: np.sort(returns),
        lambda: np.repeat(returns[:3], 20),
        lambda: np.where(np.arange(60) == random.integers(60), -0.01, 0.003),
        lambda: np.where(np.isin(np.arange(60), (0, 59)), -0.02, 0.003),
        lambda: np.where(random.random(60) < 0.95, 0.001, returns),
    ]
    return pd.Series(kinds[seed % len(kinds)](), pd.bdate_range("2021-01-04", periods=60))
