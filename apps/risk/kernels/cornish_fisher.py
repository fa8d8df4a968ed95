"""VaR and expected shortfall by the Cornish-Fisher expansion: a normal quantile, bent by skewness and kurtosis.

With z = the normal (1 - c) quantile, S the skewness and K the excess kurtosis of the book's P&L:
w(z) = z + (z^2 - 1) S / 6 + (z^3 - 3z) K / 24 - (2z^3 - 5z) S^2 / 36, VaR = -(mean + sd w). ES is the mean of that
quantile function below z, in closed form by the Hermite polynomials:
ES = -mean + sd phi(z) / (1 - c) (1 + z S / 6 + (z^2 - 1) K / 24 - (2z^2 - 1) S^2 / 36).

sd is with n - 1; S and K are mean cubes and fourth powers over powers of the mean square, with n.

Sources: Cornish & Fisher (1938), Moments and cumulants in the specification of distributions, Rev. ISI 5; Maillard
(2012), A user's guide to the Cornish Fisher expansion, SSRN 1997178 (domain of validity, ES); Boudt, Peterson & Croux
(2008), Estimation and decomposition of downside risk for portfolios with non-normal returns, J. Risk 11(2) (the split).
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy

from apps.risk.kernels.historical import FloatArray

Figure = TypeVar("Figure", float, FloatArray)


@dataclass(frozen=True, slots=True)
class Shape:
    """Mean, standard deviation (n - 1), skewness and excess kurtosis of each of some books, (books,)."""

    mean: FloatArray
    deviation: FloatArray
    skewness: FloatArray
    kurtosis: FloatArray


def shape_of(pnl: FloatArray) -> Shape:
    """Of each column of `pnl` (days, books). A column that does not move has skewness and kurtosis 0.

    Raises ValueError for fewer than 2 days, NaN or infinity.
    """
    if len(pnl) < 2 or not np.isfinite(pnl).all():
        raise ValueError(f"{len(pnl)} days; expected at least 2 of finite P&L")
    days = len(pnl)
    mean = np.add.reduce(pnl, axis=0) / days
    moves = pnl - mean
    squares = moves * moves
    second = np.add.reduce(squares, axis=0) / days
    flat = second <= (1e-14 * np.abs(pnl).max(axis=0)) ** 2
    safe = np.where(flat, 1.0, second)
    third = np.add.reduce(squares * moves, axis=0) / days
    fourth = np.add.reduce(squares * squares, axis=0) / days
    return Shape(
        mean,
        np.where(flat, 0.0, np.sqrt(second * days / (days - 1))),
        np.where(flat, 0.0, third / safe**1.5),
        np.where(flat, 0.0, fourth / safe**2 - 3),
    )


def cornish_fisher(shape: Shape, confidence: float) -> tuple[FloatArray, FloatArray]:
    """VaR and ES of each book, (books,) each. Raises ValueError for a confidence outside (0.5, 1)."""
    w, v = _bent(_z(confidence), confidence, shape.skewness, shape.kurtosis)
    return 0.0 - (shape.mean + shape.deviation * w), shape.deviation * v - shape.mean


def is_valid(skewness: float, kurtosis: float) -> bool:
    """Whether the quantile function rises everywhere, i.e. is one (Maillard 2012, sec. 3)."""
    s = skewness / 6
    k = kurtosis / 24
    # The derivative 1 - 3k + 5s^2 + 2s z + (3k - 6s^2) z^2 must have no root, and open upwards.
    leading = 3 * k - 6 * s * s
    if leading == 0:
        return s == 0
    return leading > 0 and s * s <= leading * (1 - 3 * k + 5 * s * s)


def cornish_fisher_marginals(returns: FloatArray, pnl: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Euler derivatives of VaR and ES by the value of each position, (symbols,) each, per unit of currency.

    `returns` (days, symbols), `pnl` (days,) the book's. VaR and ES are homogeneous of degree one, so value x
    derivative adds up to them. Zero derivatives but for the mean where the book does not move.
    """
    shape = shape_of(pnl[:, np.newaxis])
    deviation, skewness, kurtosis = (float(x[0]) for x in (shape.deviation, shape.skewness, shape.kurtosis))
    days = len(pnl)
    means = np.add.reduce(returns, axis=0) / days
    if deviation == 0:
        return 0.0 - means, 0.0 - means
    centred = returns - means
    unit = (pnl - shape.mean[0]) / (deviation * math.sqrt((days - 1) / days))
    by_second, by_third, by_fourth = (
        np.add.reduce(centred * power[:, np.newaxis], axis=0) / days for power in (unit, unit**2, unit**3)
    )
    root = deviation * math.sqrt((days - 1) / days)
    d_deviation = by_second * (deviation / root)
    d_skewness = (3 * by_third - 3 * skewness * by_second) / root
    d_kurtosis = (4 * by_fourth - 4 * (kurtosis + 3) * by_second) / root
    z = _z(confidence)
    w, v = _bent(z, confidence, skewness, kurtosis)
    density = _tail_density(z, confidence)
    dw = (z * z - 1) / 6 * d_skewness + (z**3 - 3 * z) / 24 * d_kurtosis
    dw = dw - (2 * z**3 - 5 * z) / 18 * skewness * d_skewness
    dv = density * (z / 6 * d_skewness + (z * z - 1) / 24 * d_kurtosis - (2 * z * z - 1) / 18 * skewness * d_skewness)
    return 0.0 - (means + d_deviation * w + deviation * dw), d_deviation * v + deviation * dv - means


def _bent(z: float, confidence: float, skewness: Figure, kurtosis: Figure) -> tuple[Figure, Figure]:
    w = z + (z * z - 1) / 6 * skewness + (z**3 - 3 * z) / 24 * kurtosis - (2 * z**3 - 5 * z) / 36 * skewness**2
    v = 1 + z / 6 * skewness + (z * z - 1) / 24 * kurtosis - (2 * z * z - 1) / 36 * skewness**2
    return w, _tail_density(z, confidence) * v


def _tail_density(z: float, confidence: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) / (1 - confidence)


def _z(confidence: float) -> float:
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; expected more than 0.5 and less than 1, as in 0.99")
    return float(scipy.special.ndtri(1 - confidence))
