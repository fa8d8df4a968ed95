"""Strategies and prices for the tests of the sandbox, and how they look at what it leaves behind."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.strategies.sandbox import (
    Answer,
    Limits,
    Sandbox,
)

LIMITS = Limits(wall_seconds=60.0)
SYMBOLS = ["AAPL", "MSFT", "XOM", "JNJ"]
Days = npt.NDArray[np.datetime64]
Closes = npt.NDArray[np.float64]

MOMENTUM = """
import pandas as pd

def target_weights(prices, params):
    scores = (prices.iloc[-1] / prices.iloc[-params["days"]] - 1).rank()
    return (scores / scores.sum()).round(12)
"""

MINIMUM_VARIANCE = """
import numpy as np

def target_weights(prices, params):
    returns = prices.pct_change().dropna()
    raw = np.linalg.solve(returns.cov().to_numpy(), np.ones(len(prices.columns)))
    return dict(zip(prices.columns, raw / raw.sum()))
"""

OPTIMIZED = """
import numpy as np
from scipy import optimize

def target_weights(prices, params):
    covariance = prices.pct_change().dropna().cov().to_numpy() * 252
    count = len(covariance)
    found = optimize.minimize(
        lambda w: w @ covariance @ w, np.full(count, 1 / count), method="SLSQP", bounds=[(0.0, 0.6)] * count,
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1}],
    )
    return dict(zip(prices.columns, found.x))
"""

LAST_CLOSES = """
def target_weights(prices, params):
    return prices.iloc[-1] / 1000
"""


def market(days: int, seed: int = 7) -> tuple[Days, Closes]:
    steps = np.random.default_rng(seed).normal(0.0005, 0.01, (days, len(SYMBOLS)))
    return days_from_2021(days), 100 * np.exp(steps.cumsum(0))


def days_from_2021(count: int) -> Days:
    return np.datetime64("2021-01-01") + np.arange(count)


def answer(code: str, params: dict[str, Any] | None = None, limits: Limits = LIMITS, days: int = 300) -> Answer:
    with Sandbox(code, params or {}, SYMBOLS, limits) as sandbox:
        sandbox.feed(*market(days))
        return sandbox.target_weights()


def returning(expression: str) -> str:
    return f"import numpy as np\nimport pandas as pd\ndef target_weights(prices, params):\n    return {expression}\n"


def children() -> set[int]:
    listed = Path("/proc/self/task").glob("*/children")
    return {int(pid) for each in listed for pid in each.read_text().split()}


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def wait_until(condition: Any) -> None:
    """Up to a minute: a machine under load is no fault of what is tested."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that within a minute")
