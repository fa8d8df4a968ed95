"""The next status of a limit: up at once, down only when the measure has fallen back by a part of the threshold.

Without the band a measure that trembles around its threshold would raise an alert at every look.
"""

from typing import Literal

Status = Literal["ok", "warning", "breach", "unknown"]

# Figures are floats: what is above a threshold by less than this part of it is rounding.
TOLERANCE = 1e-12


def exceeds(value: float, threshold: float) -> bool:
    """Whether the value is above the threshold by more than rounding."""
    return value > threshold * (1 + TOLERANCE)


def next_status(value: float, threshold: float, warning_threshold: float, before: str, band: float) -> Status:
    """`breach` above the threshold, `warning` above the other one, else `ok`; more is worse, thresholds are positive.

    `band`: fraction of a threshold, in [0, 1). A breach ends at threshold * (1 - band) or below, and a warning at
    warning_threshold * (1 - band); from `unknown` nothing is remembered. Raises ValueError for NaN.
    """
    if value != value:
        raise ValueError("the measure is NaN; expected a number: without one the status is unknown")
    if exceeds(value, threshold) or (before == "breach" and value > threshold * (1 - band)):
        return "breach"
    is_warned = before in ("warning", "breach")
    if exceeds(value, warning_threshold) or (is_warned and value > warning_threshold * (1 - band)):
        return "warning"
    return "ok"
