"""A book's tail after a trade, from the P&L vector of the book before: one column times its size, one partition.

Shapes: `pnl` (days,), currency of the book, one scenario each; definitions as in historical.py (contract section 5).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from apps.risk.kernels.historical import FloatArray, tail_count, tail_mass


class TailFigures(NamedTuple):
    """Positive for a loss, in the currency of the P&L."""

    var_95: float
    var_99: float
    expected_shortfall_975: float


class _Places(NamedTuple):
    k_95: int
    k_99: int
    k_975: int
    mass_975: float


def tail_figures(pnl: FloatArray) -> TailFigures:
    """VaR 95 % and 99 % and expected shortfall 97.5 % from one partition, O(days).

    Equal to value_at_risk and expected_shortfall of historical.py to the last bit, which check their input; this does
    not check for NaN or infinity. Raises ValueError for an empty array.
    """
    places = _places(len(pnl))
    tail = np.partition(pnl, places.k_95 - 1)[: places.k_95]
    tail.sort()
    return TailFigures(
        0.0 - float(tail[places.k_95 - 1]), 0.0 - float(tail[places.k_99 - 1]), 0.0 - _shortfall(tail, places)
    )


def _shortfall(tail: FloatArray, places: _Places) -> float:
    """Minus the expected shortfall (Rockafellar & Uryasev 2002, prop. 8), of a tail sorted upwards."""
    if places.mass_975 <= 1:
        return float(tail[0])
    whole = places.k_975 - 1
    worst = tail[: places.k_975].copy()
    worst[whole] *= places.mass_975 - whole
    return float(np.add.accumulate(worst)[-1] / places.mass_975)


@lru_cache(maxsize=256)
def _places(days: int) -> _Places:
    return _Places(tail_count(0.95, days), tail_count(0.99, days), tail_count(0.975, days), tail_mass(0.975, days))


def projected_pnl(pnl: FloatArray, returns: FloatArray, change: float) -> FloatArray:
    """P&L of each scenario after `change` (currency, negative sells) of a symbol with these `returns` (days,).

    The P&L of a book is linear in its positions, so this is the full recomputation, but for the order of the sums.
    """
    projected: FloatArray = pnl + returns * change
    return projected
