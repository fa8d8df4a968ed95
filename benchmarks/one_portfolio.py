"""One portfolio: product, VaR, ES and all components, beside the product and riskfolio-lib's VaR and CVaR alone."""

import warnings
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from apps.risk.kernels.tail import tail_split
from benchmarks.measuring import interleaved, ratio

TITLE = "One portfolio x 500 days: product, VaR, ES and the split of both by position"
CASES = [(symbols, confidence) for symbols in (20, 1_000) for confidence in (0.95, 0.99)]
DAYS = 500
OURS, PEER = "ours, with all components", "product and riskfolio-lib's VaR and CVaR alone"


def run(rounds: int, calls: int) -> dict[str, Any]:
    return {
        "title": TITLE,
        "unit": "us",
        "goal": "at most as long as the peer",
        "cases": [_case(symbols, confidence, rounds, calls * 10) for symbols, confidence in CASES],
    }


def _case(symbols: int, confidence: float, rounds: int, calls: int) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from riskfolio.src.RiskFunctions import CVaR_Hist, VaR_Hist
    random = np.random.default_rng(symbols)
    returns = random.standard_t(5, (DAYS, symbols)) * 0.01
    weights = random.uniform(0.5, 1.5, symbols)
    weights /= weights.sum()
    alpha = round(1 - confidence, 4)

    def peer() -> None:
        book = returns @ weights
        VaR_Hist(book, alpha)
        CVaR_Hist(book, alpha)

    callers = {OURS: lambda: tail_split(returns, weights, confidence), PEER: peer}
    series = interleaved(callers, rounds, calls, unit=1e-6)
    return {
        "symbols": symbols,
        "confidence": confidence,
        "series": {name: one.figures() for name, one in series.items()},
        "ratio": ratio(series[OURS], series[PEER]),
    }


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table("symbols", "confidence", f"{OURS}, us", f"{PEER}, us", "ratio", title=answer["title"])
    for case in answer["cases"]:
        figures = [f"{case['series'][name]['p50']:.1f}" for name in (OURS, PEER)]
        table.add_row(f"{case['symbols']:,}", str(case["confidence"]), *figures, f"{case['ratio']:.2f}")
    console.print(table)
    console.print(f"Goal: {answer['goal']}.", highlight=False)
