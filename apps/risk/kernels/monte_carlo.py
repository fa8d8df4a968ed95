"""Monte Carlo of a linear book whose returns are jointly normal or Student t.

Symbols move together by a factor of their covariance; the book's move along a path is then one product of the path's
standard draws with the book's loadings, so no symbol's path is kept. Draws come in chunks that fit the cache and are
used twice, as they are and with their sign turned (antithetic): memory is that of the result, 8 bytes a path.

Sources: Glasserman (2003), Monte Carlo Methods in Financial Engineering, sec. 4.2 (antithetic variates), 9.1 and 9.3
(VaR, multivariate t as normal over the root of chi-square); Serfling (1980), Approximation Theorems of Mathematical
Statistics, sec. 2.6 (intervals for quantiles from order statistics).
"""

import math
from dataclasses import dataclass

import numpy as np

from apps.risk.kernels.historical import FloatArray, expected_shortfall, tail_count, value_at_risk
from apps.risk.kernels.parametric import Elliptical

_CELLS_AT_A_TIME = 1 << 17  # 1 MiB of draws


@dataclass(frozen=True, slots=True)
class SimulatedTail:
    """The tail of a standard variable as simulated; `standard_error` is that of the quantile, in the same unit."""

    tail: Elliptical
    standard_error: float


def loadings(returns: FloatArray, values: FloatArray, pnl: FloatArray) -> FloatArray:
    """The book's loading on each of min(days, symbols) independent standard factors of the returns, (factors,).

    Their squares add up to 1: the scale of the book is applied afterwards. Where there are fewer symbols than days the
    factors are the symbols' own, each less what those before it explain (modified Gram-Schmidt, which needs no regular
    covariance); else each day is a factor. Zeros where the book does not move. No BLAS, LAPACK or thread count has a
    part in the bits.
    """
    days, symbols = returns.shape
    if symbols < days:
        book = _gram_schmidt_loadings(returns - np.add.reduce(returns, axis=0) / days, values)
    else:
        book = pnl - np.mean(pnl)
    length = math.sqrt(float(np.add.reduce(book * book)))
    return np.asarray(book / length) if length else np.zeros_like(book)


def _gram_schmidt_loadings(centred: FloatArray, values: FloatArray) -> FloatArray:
    """R @ values, where centred = Q R with orthonormal columns in Q (Golub & Van Loan 2013, sec. 5.2.8)."""
    rest = centred.copy()
    sizes = np.sqrt(np.add.reduce(rest * rest, axis=0))
    book = np.zeros(len(values))
    for column, size in enumerate(sizes.tolist()):
        length = math.sqrt(float(np.add.reduce(rest[:, column] ** 2)))
        if length <= 1e-12 * size:
            continue
        direction = (rest[:, column] / length)[:, np.newaxis]
        shares = np.add.reduce(rest[:, column:] * direction, axis=0)
        rest[:, column:] -= direction * shares
        book[column] = math.fsum((shares * values[column:]).tolist())
    return book


def simulate(weights: FloatArray, paths: int, seed: int, df: float | None = None) -> FloatArray:
    """Standard moves of the book along `paths` paths, (paths,): N(0, 1), or Student t with `df` degrees of freedom.

    `weights` (factors,) are the loadings. Path i and path i + ceil(paths / 2) are each other's mirror image.
    The stream is numpy's PCG64 of `seed`. Raises ValueError for paths < 2 or a negative seed.
    """
    if paths < 2:
        raise ValueError(f"paths is {paths}; expected at least 2")
    random = np.random.default_rng(seed)
    half = (paths + 1) // 2
    moves = np.empty(paths)
    rows = max(1, _CELLS_AT_A_TIME // len(weights))
    draws = np.empty((rows, len(weights)))
    for start in range(0, half, rows):
        part = draws[: min(rows, half - start)]
        random.standard_normal(out=part)
        part *= weights
        np.add.reduce(part, axis=1, out=moves[start : start + len(part)])
    if df is not None:
        moves[:half] *= np.sqrt(df / random.chisquare(df, half))
    np.negative(moves[: paths - half], out=moves[half:])
    return moves


def simulated_tail(moves: FloatArray, confidence: float) -> SimulatedTail:
    """Quantile and tail mean of antithetic `moves` (paths,), and the quantile's standard error.

    The number of paths below the true quantile has variance n p (1 - 2p), p = 1 - c: of a pair at most one is, since
    p < 1/2. The standard error is half the distance of the order statistics one such deviation to either side.
    """
    tail = Elliptical(value_at_risk(moves, confidence), expected_shortfall(moves, confidence))
    p = 1 - confidence
    spread = max(1, round(math.sqrt(len(moves) * p * max(1 - 2 * p, 0.0))))
    place = tail_count(confidence, len(moves)) - 1
    low, high = max(place - spread, 0), min(place + spread, len(moves) - 1)
    ordered = np.partition(moves, (low, high))
    return SimulatedTail(tail, float(ordered[high] - ordered[low]) * spread / (high - low) if high > low else 0.0)
