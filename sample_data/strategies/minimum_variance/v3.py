"""Minimum variance: the long-only portfolio whose past returns varied least.

Needs no forecast of returns, which nobody has; only a covariance, which is more stable. Source: Markowitz (1952),
Portfolio Selection, Journal of Finance 7(1).
"""

import numpy as np


def target_weights(prices, params):
    """Weights by symbol, fractions of the equity.

    prices: DataFrame, days x symbols, closes up to the day of the decision, NaN where there is none.
    params: `window_days`, how many daily returns the covariance is of; `invested`, the fraction of the equity that is
    not kept as cash.
    """
    returns = complete_returns(prices, params["window_days"])
    if returns.empty:
        return {}
    weights = params["invested"] * least_variance(covariance(returns.to_numpy()))
    return dict(zip(returns.columns, weights, strict=True))


def complete_returns(prices, days):
    """The last `days` simple daily returns, days x symbols, of the symbols that have all of them."""
    if len(prices) <= days:
        return prices.iloc[:0]
    return prices.iloc[-1 - days :].pct_change(fill_method=None).iloc[1:].dropna(axis=1)


def covariance(returns):
    """Sample covariance of returns (days, symbols), with n - 1: (symbols, symbols)."""
    return np.atleast_2d(np.cov(returns, rowvar=False))


def least_variance(matrix):
    """Weights (symbols,), none below 0, sum 1, that make weights @ matrix @ weights least.

    Found as x >= 0 with matrix @ x >= 1, and equal to 1 where x > 0, then scaled to the sum: the optimality conditions
    of the problem. The set of symbols that are held grows one by one, and whoever would go below 0 leaves it. Source:
    Lawson and Hanson (1974), Solving Least Squares Problems, ch. 23.
    """
    x = np.zeros(len(matrix))
    held = np.zeros(len(matrix), dtype=bool)
    while (lacks := np.where(held, 0.0, 1.0 - matrix @ x)).max() > 1e-10:
        held[lacks.argmax()] = True
        x, held = settled(matrix, x, held)
    return x / x.sum()


def settled(matrix, x, held):
    """The x of the held symbols with matrix @ x = 1 for each of them, after those that would go below 0 have left."""
    held = held.copy()
    while True:
        wanted = np.zeros(len(x))
        wanted[held] = np.linalg.solve(matrix[np.ix_(held, held)], np.ones(held.sum()))
        if not (wanted[held] <= 0.0).any():
            return wanted, held
        falling = np.flatnonzero(held & (wanted <= 0.0))
        shares = x[falling] / (x[falling] - wanted[falling])
        x = x + shares.min() * (wanted - x)
        x[falling[shares.argmin()]] = 0.0
        held[falling[shares.argmin()]] = False
