"""Confidence intervals by the stationary bootstrap: the measures of many series put together from blocks of this one.

A resample runs on through the days of the series (round the end to its beginning) and jumps to a day picked at random
with probability 1 / block_days each day, so blocks have geometric lengths and the resamples are stationary.
Sources: Politis & Romano (1994), The stationary bootstrap, JASA 89; Politis & White (2004), Automatic block-length
selection for the dependent bootstrap, Econometric Reviews 23, with the correction of Patton, Politis & White (2009),
Econometric Reviews 28; Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 (percentile intervals).

Bits: random numbers are Philox's by an explicit seed, in an order that no chunk size changes; sums are not BLAS's.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Numbers that one step of resampling holds in one array: 8 MB of them.
_NUMBERS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentile interval; `standard_error` is the standard deviation (n - 1) over the samples."""

    lower: float
    upper: float
    standard_error: float


def resampled_days(days: int, samples: int, block_days: float, seed: int) -> Iterator[IntArray]:
    """Rows of the series for each resample, some samples at a time: (days, some), `samples` of them in all.

    `block_days` is the mean length of a block, 1 or more; 1 is the bootstrap of independent days. A stream of samples
    begins with the same ones however many are asked for. Raises ValueError for a count or length below 1.
    """
    if days < 1 or samples < 1 or not block_days >= 1:
        raise ValueError(f"days {days}, samples {samples}, block_days {block_days}; expected all at least 1")
    random = np.random.Generator(np.random.Philox(seed))
    at_once = max(1, _NUMBERS_AT_ONCE // days)
    for done in range(0, samples, at_once):
        numbers = random.random((min(at_once, samples - done), 2, days))
        yield np.ascontiguousarray(_rows(numbers, block_days).T)


def _rows(numbers: FloatArray, block_days: float) -> IntArray:
    """`numbers` (samples, 2, days), uniform in [0, 1): whether a block begins on the day, and where it would."""
    days = numbers.shape[2]
    begins = numbers[:, 0] < 1.0 / block_days
    begins[:, 0] = True
    day = np.arange(days)
    begun = np.maximum.accumulate(np.where(begins, day, 0), axis=1)
    first = np.minimum((numbers[:, 1] * days).astype(np.intp), days - 1)
    rows = np.take_along_axis(first, begun, axis=1) + day - begun
    return np.asarray(rows % days, dtype=np.intp)


def percentile_interval(samples: FloatArray, confidence: float) -> Interval:
    """Between the (1 - c) / 2 and (1 + c) / 2 quantiles, interpolated; `samples` (samples,), at least 2, finite.

    Raises ValueError for fewer, NaN or infinity, and a confidence outside (0, 1).
    """
    if samples.ndim != 1 or len(samples) < 2 or not np.isfinite(samples).all():
        raise ValueError(f"samples have shape {samples.shape}; expected (samples,) of finite numbers, at least two")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; expected more than 0 and less than 1, as in 0.95")
    tail = (1.0 - confidence) / 2
    lower, upper = np.quantile(samples, [tail, 1.0 - tail])
    return Interval(float(lower), float(upper), float(np.std(samples, ddof=1)))


def automatic_block_days(series: FloatArray) -> float:
    """The mean block length for the stationary bootstrap of `series` (days,): 1 to min(3 sqrt(n), n / 3).

    b = (2 g^2 / d)^(1/3) n^(1/3), g = sum of w(k / m) |k| R(k), d = 2 (sum of w(k / m) R(k))^2 over |k| <= m, with the
    flat-top window w and m twice the lag after which max(5, log10 n) autocorrelations in a row are insignificant
    (Politis & White 2004, sec. 3.2; 2009). As arch's optimal_block_length, without its BLAS. 1.0 where the series does
    not vary or is shorter than 10 days. Raises ValueError for another shape, NaN or infinity.
    """
    if series.ndim != 1 or not np.isfinite(series).all():
        raise ValueError(f"series has shape {series.shape}; expected (days,) of finite numbers")
    if len(series) < 10 or np.ptp(series) <= 8 * float(np.finfo(np.float64).eps):
        return 1.0
    covariances, correlations, run = _autocovariances(series - series.mean())
    cut = _cut_off(correlations, run, len(series))
    return min(max(_length(covariances, cut, len(series)), 1.0), _longest(len(series)))


def _longest(days: int) -> float:
    return float(math.ceil(min(3 * math.sqrt(days), days / 3)))


def _autocovariances(deviations: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Autocovariances and absolute autocorrelations of lags 0 on, and how many in a row must be insignificant."""
    days = len(deviations)
    run = max(5, int(math.log10(days)))
    lags = range(min(math.ceil(math.sqrt(days)) + run, days - 2) + 1)
    squares = np.add.accumulate(deviations * deviations)
    products = np.array([np.add.reduce(deviations[lag:] * deviations[: days - lag]) for lag in lags])
    later = np.array([squares[-1] - squares[lag] for lag in lags])
    earlier = np.array([squares[days - lag - 2] for lag in lags])
    scale = np.sqrt(later * earlier)
    correlations = np.divide(np.abs(products), scale, out=np.zeros(len(lags)), where=scale > 0)
    return products / days, correlations, run


def _cut_off(correlations: FloatArray, run: int, days: int) -> int:
    """m: twice the first lag from which `run` autocorrelations lie inside +-2 sqrt(log10(n) / n)."""
    last = len(correlations) - 1
    inside = correlations < 2 * math.sqrt(math.log10(days) / days)
    found = next((lag for lag in range(last - run + 1) if inside[lag : lag + run].all()), None)
    return last if found is None else min(2 * max(found, 1), last)


def _length(covariances: FloatArray, cut: int, days: int) -> float:
    lags = np.arange(1, cut + 1)
    weights = np.minimum(1.0, 2 * (1 - lags / cut)) * covariances[1 : cut + 1]
    slope = 2 * float(np.add.reduce(weights * lags))
    variance = float(covariances[0] + 2 * np.add.reduce(weights))
    if variance == 0:
        return _longest(days)
    return float((slope / variance) ** 2 * days) ** (1 / 3)
