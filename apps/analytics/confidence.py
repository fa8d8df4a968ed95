"""Confidence intervals of the headline measures, by resampling a period's days."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from apps.analytics.kernels.bootstrap import automatic_block_days, percentile_interval, resampled_days
from apps.analytics.kernels.headline import headline_measures
from apps.portfolios.matrix import FloatArray

Progress = Callable[[int, int], None]

FEWEST_DAYS = 20


def intervals_of(
    returns: FloatArray,
    benchmark: FloatArray | None,
    risk_free_rate: float,
    bootstrap: dict[str, Any] | None,
    progress: Progress,
) -> tuple[dict[str, Any] | None, str | None]:
    """The result's field, or None and why; `progress(done, samples)` is called after each chunk of samples."""
    if bootstrap is None:
        return None, "bootstrap was not given"
    if len(returns) < FEWEST_DAYS:
        return None, f"{len(returns)} returns: resampling takes at least {FEWEST_DAYS}"
    block_days = bootstrap["block_days"] or automatic_block_days(returns)
    chunks = _chunks(returns, benchmark, risk_free_rate, bootstrap, block_days, progress)
    samples = _joined(list(chunks))
    measured = headline_measures(returns[:, None], None if benchmark is None else benchmark[:, None], risk_free_rate)
    shown = {name: _shown(measured[name][0], samples[name], bootstrap["confidence"]) for name in samples}
    return {
        "method": "stationary bootstrap, percentile intervals",
        "confidence": bootstrap["confidence"],
        "samples": bootstrap["samples"],
        "block_days": float(block_days),
        "seed": bootstrap["seed"],
        "measures": shown,
    }, None


def _chunks(
    returns: FloatArray,
    benchmark: FloatArray | None,
    risk_free_rate: float,
    bootstrap: dict[str, Any],
    block_days: float,
    progress: Progress,
) -> Iterator[dict[str, FloatArray]]:
    done = 0
    for rows in resampled_days(len(returns), bootstrap["samples"], block_days, bootstrap["seed"]):
        yield headline_measures(returns[rows], None if benchmark is None else benchmark[rows], risk_free_rate)
        done += rows.shape[1]
        progress(done, bootstrap["samples"])


def _joined(chunks: list[dict[str, FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _shown(estimate: float, samples: FloatArray, confidence: float) -> dict[str, Any]:
    """An interval with bounds of null, and why, where some of the samples have no such measure."""
    nothing = {"estimate": _number(estimate), "lower": None, "upper": None, "standard_error": None}
    lacking = int(np.count_nonzero(np.isnan(samples)))
    if lacking or np.isnan(estimate):
        return {**nothing, "reason": f"{lacking} of {len(samples)} samples have no such measure"}
    interval = percentile_interval(samples, confidence)
    bounds = {"lower": interval.lower, "upper": interval.upper, "standard_error": interval.standard_error}
    return {**nothing, **bounds, "reason": None}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
