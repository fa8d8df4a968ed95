"""Every portfolio at once: one process, beside the bare numpy product and partition of the same size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from apps.risk.kernels.batch import batch_tail
from benchmarks.measuring import Series, interleaved, traced_peak_bytes

TITLE = "VaR 95/99 and ES 97.5 of all portfolios x 1,000 symbols x 500 days, one process"
SIZES = (100, 1_000, 10_000)
SYMBOLS, DAYS = 1_000, 500
CONFIDENCES = (0.95, 0.975, 0.99)
OURS = "ours: VaR and ES at three confidences, to the bit"
BARE_ROWS, BARE_COLUMNS = "bare numpy, a row a portfolio", "bare numpy, a column a portfolio"

Array = NDArray[np.float64]


def run(rounds: int, calls: int) -> dict[str, Any]:
    """A call a round: one takes long enough. The peer is the faster of the two bare ones, round by round."""
    random = np.random.default_rng(1)
    returns = random.standard_t(5, (DAYS, SYMBOLS)) * 0.01
    values = random.normal(10_000, 10_000, (max(SIZES), SYMBOLS))
    sizes = {str(size): _of_size(returns, values[:size], rounds) for size in SIZES}
    return {
        "title": TITLE,
        "unit": "ms",
        "goal": "10,000 portfolios: at most 1.5 times the bare product and partition; memory at most 2.5 times the P&L",
        "sizes": sizes,
    }


def _of_size(returns: Array, values: Array, rounds: int) -> dict[str, Any]:
    callers = {
        OURS: lambda: batch_tail(returns, values, CONFIDENCES),
        BARE_ROWS: lambda: bare_rows(returns, values),
        BARE_COLUMNS: lambda: bare_columns(returns, values),
    }
    series = interleaved(callers, rounds, calls=max(1, 2_000 // len(values)), unit=1e-3)
    pnl_bytes = len(returns) * len(values) * 8
    peak = traced_peak_bytes(callers[OURS])
    return {
        "series": {name: one.figures() for name, one in series.items()},
        "ratio": _ratio_to_faster(series),
        "microseconds_a_portfolio": series[OURS].p50 / len(values) * 1e3,
        "pnl_matrix_mib": pnl_bytes / 2**20,
        "peak_mib": peak / 2**20,
        "peak_to_pnl_matrix": peak / pnl_bytes,
    }


def bare_rows(returns: Array, values: Array) -> Array:
    """The deepest order statistic alone: neither the other VaR nor any shortfall."""
    return np.partition(values @ returns.T, _kth(), axis=1)[:, _kth()]


def bare_columns(returns: Array, values: Array) -> Array:
    return np.partition(returns @ values.T, _kth(), axis=0)[_kth()]


def _kth() -> int:
    return round(0.05 * DAYS) - 1


def _ratio_to_faster(series: dict[str, Series]) -> float:
    peers = [min(pair) for pair in zip(series[BARE_ROWS].medians, series[BARE_COLUMNS].medians, strict=True)]
    return float(np.median([ours / peer for ours, peer in zip(series[OURS].medians, peers, strict=True)]))


def show(console: Console, answer: dict[str, Any]) -> None:
    names = (OURS, BARE_ROWS, BARE_COLUMNS)
    table = Table(
        "portfolios", *(f"{name}, ms" for name in names), "ratio", "us each", "peak MiB", title=answer["title"]
    )
    for size, one in answer["sizes"].items():
        figures = [f"{one['series'][name]['p50']:.1f}" for name in names]
        table.add_row(
            size,
            *figures,
            f"{one['ratio']:.2f}",
            f"{one['microseconds_a_portfolio']:.1f}",
            f"{one['peak_mib']:.1f} ({one['peak_to_pnl_matrix']:.2f} x P&L)",
        )
    console.print(table)
    console.print(f"Goal: {answer['goal']}.", highlight=False)
