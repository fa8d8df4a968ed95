"""VaR and expected shortfall of scenarios that are not equally likely, with their split by position.

Shapes and signs as in historical.py and tail.py; `probabilities` is (scenarios,), positive, and sums to 1.

Sources: Boudoukh, Richardson & Whitelaw (1998), The best of both worlds, Risk 11(5) (weights that fade with age);
Rockafellar & Uryasev (2002), J. Banking & Finance 26, prop. 8 (ES with an atom at the VaR); Tasche (2002), J. Banking &
Finance 26, sec. 6 (the split).
"""

import numpy as np

from apps.risk.kernels.historical import FloatArray, IntArray
from apps.risk.kernels.tail import TailSplit, exact_split


def age_weights(observations: int, decay: float) -> FloatArray:
    """Probabilities (observations,), oldest first: decay**age (1 - decay) / (1 - decay**n), the newest of age 0.

    With decay 1 all are 1/n. Raises ValueError unless 0 < decay <= 1 and observations >= 1.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay is {decay}; expected more than 0 and at most 1, as in 0.98")
    if observations < 1:
        raise ValueError(f"{observations} observations; expected at least 1")
    weights = decay ** np.arange(observations - 1, -1, -1.0)
    return np.asarray(weights / weights.sum())


def weighted_var_es(pnl: FloatArray, probabilities: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """VaR and ES of each column of `pnl` (scenarios, books): (books,) each.

    VaR is the loss of the first scenario, from the worst on, at which the probabilities reach 1 - c; ES is the mean of
    the worst 1 - c, that scenario counted by what is left. Raises ValueError for NaN, infinity or shapes that do not
    fit.
    """
    _check(pnl, probabilities, confidence)
    order = np.argsort(pnl, axis=0, kind="stable")
    sorted_pnl = np.take_along_axis(pnl, order, axis=0)
    reached = np.add.accumulate(probabilities[order], axis=0)
    tail = 1 - confidence
    edge = _edge(reached, tail)
    columns = np.arange(pnl.shape[1])
    var = 0.0 - sorted_pnl[edge, columns]
    counted = np.minimum(reached, tail)
    counted[edge, columns] = tail
    shares = np.diff(counted, axis=0, prepend=0.0)
    shares[np.arange(len(pnl))[:, np.newaxis] > edge] = 0.0
    return var, 0.0 - np.add.accumulate(shares * sorted_pnl, axis=0)[-1] / tail


def weighted_tail_split(
    returns: FloatArray, values: FloatArray, pnl: FloatArray, probabilities: FloatArray, confidence: float
) -> TailSplit:
    """As tail_split, for scenarios (scenarios, symbols) of the given probabilities; `pnl` (scenarios,) is theirs.

    Raises ValueError as weighted_var_es does.
    """
    _check(pnl, probabilities, confidence)
    tail = 1 - confidence
    order: IntArray = np.argsort(pnl, kind="stable")
    reached = np.add.accumulate(probabilities[order])
    edge = int(_edge(reached[:, np.newaxis], tail)[0])
    rows = order[: edge + 1]
    shares = np.diff(np.append(reached[:edge], tail), prepend=0.0) / tail
    marginal = np.stack(
        [0.0 - returns[rows[-1]], 0.0 - np.add.accumulate(shares[:, np.newaxis] * returns[rows], axis=0)[-1]]
    )
    (var, shortfall), losses = exact_split(marginal * values)
    return TailSplit(var, shortfall, int(rows[-1]), losses[0], losses[1], marginal[0], marginal[1])


def _edge(reached: FloatArray, tail: float) -> IntArray:
    """Per column, the row at which the accumulated probability reaches the tail's, up to the rounding of its sum."""
    rounding = 4 * np.finfo(float).eps * len(reached)
    return np.asarray(np.minimum((reached < tail - rounding).sum(axis=0), len(reached) - 1))


def _check(pnl: FloatArray, probabilities: FloatArray, confidence: float) -> None:
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; expected more than 0.5 and less than 1, as in 0.99")
    if len(pnl) != len(probabilities) or not len(pnl):
        raise ValueError(f"{len(pnl)} scenarios and {len(probabilities)} probabilities; expected as many, at least one")
    if not np.isfinite(pnl).all():
        raise ValueError("pnl holds NaN or infinity; expected finite numbers only")
