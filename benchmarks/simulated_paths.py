"""Monte Carlo: 100,000 paths of 100 symbols, beside the bare normal draw and product of the same size."""

import os
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import interleaved, ratio, spread, traced_peak_bytes

TITLE = "Monte Carlo, 100,000 paths x 100 symbols"
PATHS, SYMBOLS, DAYS = 100_000, 100, 500
BARE = "bare normal draw and product"
NORMAL, STUDENT_T = "ours, normal: VaR, ES, split, standard error", "ours, Student t: the same, fitted"


def run(rounds: int, calls: int) -> dict[str, Any]:
    # The methods' errors are the API's, which reads the settings; nothing is connected.
    os.environ.setdefault("NAUTILUS_SECRET_KEY", "only-for-reading-the-settings-not-for-serving")
    os.environ.setdefault("DATABASE_URL", "postgresql://nobody@localhost/none")
    os.environ.setdefault("REDIS_URL", "redis://localhost/0")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
    import django

    django.setup()
    from apps.risk.methods import METHODS
    from apps.risk.tests.books import parameters, priced_book

    random = np.random.default_rng(1)
    book = priced_book(random.standard_t(5, (DAYS, SYMBOLS)) * 0.01, random.uniform(5e3, 15e3, SYMBOLS))
    factor = np.linalg.cholesky(np.cov(book.returns, rowvar=False))

    def bare() -> None:
        (np.random.default_rng(0).standard_normal((PATHS, SYMBOLS)) @ factor.T) @ book.values

    def ours(distribution: str) -> None:
        METHODS["monte_carlo"].estimate(book, parameters(paths=PATHS, distribution=distribution))

    callers = {BARE: bare, NORMAL: lambda: ours("normal"), STUDENT_T: lambda: ours("student_t")}
    series = interleaved(callers, rounds, max(1, calls // 10), unit=1e-3)
    return {
        "title": TITLE,
        "unit": "ms",
        "goal": f"at most 1.3 times the {BARE}",
        "series": {
            name: {
                **series[name].figures(),
                "ratio": ratio(series[name], series[BARE]),
                "peak_mib": traced_peak_bytes(call) / 2**20,
            }
            for name, call in callers.items()
        },
    }


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table("", "p50 ms", "spread of p50", "ratio to bare", "peak MiB", title=answer["title"])
    for name, one in answer["series"].items():
        table.add_row(name, f"{one['p50']:.1f}", spread(one), f"{one['ratio']:.2f}", f"{one['peak_mib']:.1f}")
    console.print(table)
    console.print(f"Goal: {answer['goal']}.", highlight=False)
