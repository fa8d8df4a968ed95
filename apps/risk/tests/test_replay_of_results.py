"""Stored results of every kind and method, computed again after prices, books and instruments have changed: every bit.

The results are made by the jobs themselves, of what the API would fill in, and replayed from what PostgreSQL gives
back.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.analytics.performance import KIND as PERFORMANCE
from apps.analytics.performance import run_performance
from apps.portfolios import matrix
from apps.portfolios.ledger import book_cash_flow, book_trades
from apps.portfolios.models import Instrument, Portfolio, Snapshot
from apps.portfolios.price_import import import_prices
from apps.portfolios.replays import replay, replayable_kinds
from apps.portfolios.sample_book import load_sample_book
from apps.portfolios.tests.factories import make_portfolio, moment
from apps.portfolios.trade_rows import TradeRow
from apps.risk import analysis, backtests, comparison, stress
from apps.risk.methods import DEFAULTS, DISTRIBUTIONS, METHODS, relevant
from apps.risk.scenarios import SCENARIOS, HistoricalScenario
from apps.risk.tests.books import SAMPLE_DATA, sample_prices
from apps.tasks.execution import take
from apps.tasks.tests.factories import make_task

ROOT = Path(__file__).parents[3]
HELD = [symbol for symbol in sample_prices().columns if symbol != "SP500"]
INCEPTION = date(2012, 1, 3)
SECOND_DAY = date(2017, 6, 1)
# NEW has prices from here on, with gaps until it is bought: windows over it need a proxy, or drop days.
NEW_FROM = "2021-06-01"
NEW_BOUGHT = date(2022, 2, 1)

# Weights of a book of 1,000,000, the rest being cash.
SHAPES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "long": lambda random: random.dirichlet(np.ones(8)),
    "all_symbols": lambda random: random.dirichlet(np.ones(len(HELD))),
    "single": lambda random: np.ones(1),
    "pair": lambda random: np.array([0.5, -0.4]),
    "short": lambda random: -random.dirichlet(np.ones(5)) * 0.5,
    "leveraged": lambda random: random.dirichlet(np.ones(10)) * 1.8,
    "long_short": lambda random: random.normal(0, 0.1, 15),
    "dust": lambda random: random.dirichlet(np.ones(3)) * 1e-6,
}
# These may come to be worth less than nothing: no return, no percentage.
MAY_BE_INSOLVENT = ("SHORT", "PAIR", "LEVERAGED", "LONG_SHORT")
VARIANTS = [
    {"method": name, **({"distribution": each} if "distribution" in METHODS[name].uses else {})}
    for name in sorted(METHODS)
    for each in (DISTRIBUTIONS if "distribution" in METHODS[name].uses else ("normal",))
]
HORIZONS = [(1, "sqrt_time"), (10, "sqrt_time"), (250, "sqrt_time"), (1, "overlapping"), (5, "overlapping")]
JOBS = {
    analysis.KIND: analysis.run_analysis,
    comparison.KIND: comparison.run_comparison,
    stress.KIND: stress.run_stress,
    backtests.KIND: backtests.run_backtest,
    PERFORMANCE: run_performance,
}


# --- the tests


@pytest.mark.thorough
@pytest.mark.django_db
def test_thousand_stored_results_are_reproduced_to_the_last_bit(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {analysis.KIND: 450, comparison.KIND: 50, stress.KIND: 250, backtests.KIND: 50, PERFORMANCE: 200}
    make_world(seed=1)
    store_results({kind: count // 2 for kind, count in counts.items()}, seed=2)
    change_world(1.01)
    store_results({kind: count - count // 2 for kind, count in counts.items()}, seed=3)
    change_world(0.97)
    change_what_is_named(monkeypatch)
    forget_matrices(Path(settings.MATRIX_DIR))
    assert Counter(Snapshot.objects.values_list("kind", flat=True)) == counts
    different = not_reproduced(map(replay, Snapshot.objects.order_by("id")))
    assert not different, "\n".join(different)


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_results_do_not_depend_on_the_process_nor_on_the_threads_of_its_blas(tmp_path: Path) -> None:
    make_world(seed=4)
    # Windows of 1,250 days: from some 9,000 numbers on OpenBLAS divides a product among its threads.
    kinds = {analysis.KIND: 3 * len(VARIANTS), comparison.KIND: 6, stress.KIND: 14, backtests.KIND: 8, PERFORMANCE: 8}
    store_results(kinds, seed=5, windows=(1250,))
    change_world(1.01)
    for threads in ("1", "2"):
        results = replayed_in_another_process(threads, tmp_path)
        assert len(results) == sum(kinds.values())
        different = not_reproduced(results)
        assert not different, "\n".join([f"with {threads} threads", *different])


def test_every_kind_that_can_be_replayed_is_among_them() -> None:
    assert set(replayable_kinds()) - {"risk.analyze_all"} == set(JOBS)  # that one: test_all_portfolios.py


def not_reproduced(results: Iterable[dict[str, Any]]) -> list[str]:
    """What differs, a line a snapshot: how far at most, and the first place."""
    return [
        f"{result['kind']} {result['snapshot_id'][:12]}: {result['max_abs_difference']}, {result['differences'][0]}"
        for result in results
        if not result["reproduced"] or result["max_abs_difference"] != 0.0
    ]


# --- another process


REPLAY_ALL = """
import django, json
django.setup()
from apps.portfolios.models import Snapshot
from apps.portfolios.replays import replay
print(json.dumps([replay(snapshot) for snapshot in Snapshot.objects.order_by("id")]))
"""


def replayed_in_another_process(threads: str, folder: Path) -> list[dict[str, Any]]:
    """All snapshots of the test's database by a Python of its own, which builds its own matrices."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "nautilus.settings",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + connection.settings_dict["NAME"],
        "NAUTILUS_MATRIX_DIR": str(folder / f"matrices-{threads}"),
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads),
    }
    run = subprocess.run(
        [sys.executable, "-c", REPLAY_ALL], env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


# --- the world, and how it changes


def make_world(seed: int) -> None:
    """The sample book, random books over its symbols, and NEW, with a short history full of gaps."""
    load_sample_book(SAMPLE_DATA)
    random = np.random.default_rng(seed)
    import_prices(_prices_of_new(random), "a new symbol")
    Instrument.objects.filter(pk__in=HELD[::2]).update(average_daily_volume=Decimal("1234567.8"))
    for number in range(24):
        shape = list(SHAPES)[number % len(SHAPES)]
        _make_book(f"{shape.upper()}_{number}", SHAPES[shape](random), random)
    for number in range(3):
        _make_book(f"NEW_{number}", random.dirichlet(np.ones(5)) * 0.8, random, with_new=True)


def _prices_of_new(random: np.random.Generator) -> bytes:
    days = [day for day in sample_prices().index if day >= NEW_FROM]
    closes = 50 * np.exp(random.normal(0, 0.02, len(days)).cumsum())
    rows = [f"{day},NEW,{close:.4f}" for day, close in zip(days, closes, strict=True)]
    gaps = set(random.choice(150, 25, replace=False).tolist())
    return "\n".join(["date,symbol,close", *(row for place, row in enumerate(rows) if place not in gaps)]).encode()


def _make_book(name: str, weights: np.ndarray, random: np.random.Generator, with_new: bool = False) -> None:
    """Half of each position is bought on the first day, half years later; NEW in 2022."""
    symbols = random.choice(HELD, len(weights), replace=False).tolist()
    portfolio = make_portfolio(
        name, initial_cash=1_000_000, inception_date=INCEPTION, benchmark="SP500" if random.random() < 0.8 else None
    )
    amounts = dict(zip(symbols, (weights * 500_000).tolist(), strict=True))
    rows = [_trade(symbol, amount, day) for day in (INCEPTION, SECOND_DAY) for symbol, amount in amounts.items()]
    if with_new:
        rows.append(TradeRow("NEW", Decimal(400), Decimal(50), moment(NEW_BOUGHT)))
    book_trades(portfolio.id, rows)


def _trade(symbol: str, amount: float, day: date) -> TradeRow:
    price = Decimal(repr(float(sample_prices().loc[str(day), symbol])))
    quantity = Decimal(amount / float(price)).quantize(Decimal("0.00000001"))
    return TradeRow(symbol, quantity, price, moment(day))


def change_world(factor: float) -> None:
    """Corrects prices of every symbol, adds a day, and books into every ledger, also back in time."""
    closes = sample_prices().iloc[-700::7]
    rows = [f"{day},{symbol},{close * factor!r}" for symbol in closes for day, close in closes[symbol].items()]
    rows += [f"2022-12-29,{symbol},{float(close) * factor!r}" for symbol, close in closes.iloc[-1].items()]
    rows += [f"2022-12-{day},NEW,{40 * factor!r}" for day in (20, 21, 22, 29)]
    import_prices("\n".join(["date,symbol,close", *rows]).encode(), f"corrected by {factor}")
    for portfolio_id in Portfolio.objects.values_list("pk", flat=True):
        book_trades(portfolio_id, [_trade("AAPL", 3_000, date(2022, 11, 1)), _trade("KO", 2_000, date(2020, 3, 2))])
        book_cash_flow(portfolio_id, Decimal("1234.56"), date(2021, 5, 3))


def change_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no price and no booking and may be edited: sectors, volumes, benchmarks, scenarios."""
    Instrument.objects.update(sector="Other", average_daily_volume=Decimal(7), name="renamed")
    Portfolio.objects.update(benchmark="AAPL", name="renamed")
    for name, scenario in SCENARIOS.items():
        moved = HistoricalScenario(name, "Another", scenario.start, date(2022, 12, 1), "")
        monkeypatch.setitem(SCENARIOS, name, moved)


def forget_matrices(folder: Path) -> None:
    matrix._loaded.clear()
    assert list(folder.glob("v*"))
    shutil.rmtree(folder)


# --- the results


def store_results(counts: dict[str, int], seed: int, windows: tuple[int, ...] = (60, 120, 250, 500)) -> None:
    """Runs the jobs, each of which keeps its snapshot."""
    random = np.random.default_rng(seed)
    all_books = sorted(Portfolio.objects.values_list("pk", flat=True))
    solvent = [portfolio_id for portfolio_id in all_books if not portfolio_id.startswith(MAY_BE_INSOLVENT)]
    for kind, count in counts.items():
        for number in range(count):
            portfolio_id = _pick(random, solvent if kind == PERFORMANCE else all_books)
            _store(kind, portfolio_id, ASKED[kind](number, portfolio_id, windows, random))


def _store(kind: str, portfolio_id: str, parameters: dict[str, Any]) -> None:
    job = take(str(make_task(kind, parameters, portfolio_id=portfolio_id).pk), "w1")
    JOBS[kind](job).store()


def _pick(random: np.random.Generator, choices: Any) -> Any:
    return list(choices)[int(random.integers(len(choices)))]


def _book(portfolio_id: str, windows: tuple[int, ...], random: np.random.Generator) -> dict[str, Any]:
    """The parameters of which book, and of what to do where prices are missing."""
    holds_new = portfolio_id.startswith("NEW")
    missing = _pick(random, [({"NEW": "SP500"}, "error"), ({}, "drop_days")] if holds_new else [({}, "error")])
    return {
        "window_days": _pick(random, windows),
        "as_of": _pick(random, [None, None, "2022-06-30", "2022-09-15"]),
        "proxy": missing[0],
        "missing": missing[1],
    }


def _method_parameters(random: np.random.Generator) -> dict[str, Any]:
    return {
        "confidence": _pick(random, [0.9, 0.95, 0.975, 0.99, 0.999, round(random.uniform(0.55, 0.995), 4)]),
        "paths": 2_000,
        "seed": int(random.integers(2**31)),
        "decay": _pick(random, [DEFAULTS["decay"], 0.94, 1.0]),
    }


def _horizon(random: np.random.Generator) -> dict[str, Any]:
    return dict(zip(("horizon_days", "horizon_method"), _pick(random, HORIZONS), strict=True))


def _analysis(number: int, portfolio_id: str, windows: tuple[int, ...], random: np.random.Generator) -> dict[str, Any]:
    variant = VARIANTS[number % len(VARIANTS)]
    asked = {**_book(portfolio_id, windows, random), **_method_parameters(random), **_horizon(random), **variant}
    # Nothing is asked for twice, or one snapshot would stand for two.
    return {**relevant([variant["method"]], asked), "confidence": round(asked["confidence"] - number * 1e-9, 9)}


def _comparison(
    number: int, portfolio_id: str, windows: tuple[int, ...], random: np.random.Generator
) -> dict[str, Any]:
    some = sorted(random.choice(sorted(METHODS), 3, replace=False).tolist())
    methods = sorted(METHODS) if number % 3 == 0 else some
    return {
        **_book(portfolio_id, windows, random),
        **_method_parameters(random),
        **_horizon(random),
        "methods": methods,
    }


def _backtest(number: int, portfolio_id: str, windows: tuple[int, ...], random: np.random.Generator) -> dict[str, Any]:
    return {
        **_book(portfolio_id, windows, random),
        **_method_parameters(random),
        "methods": sorted({VARIANTS[number % len(VARIANTS)]["method"], "historical"}),
        "distribution": DISTRIBUTIONS[number // len(VARIANTS) % 2],
        "test_days": int(random.integers(3, 8)),
        "positions": _pick(random, ["ledger", "current"]),
    }


def _stress(number: int, portfolio_id: str, windows: tuple[int, ...], random: np.random.Generator) -> dict[str, Any]:
    book = _book(portfolio_id, windows, random)
    # A scenario of the past needs prices through it, which NEW has from nowhere but a proxy.
    book |= {"proxy": {"NEW": "SP500"}} if portfolio_id.startswith("NEW") else {}
    amount = round(float(random.uniform(1_000, 90_000)), 2)
    is_amount = number % 2 or portfolio_id.startswith(MAY_BE_INSOLVENT)
    has_benchmark = Portfolio.objects.get(pk=portfolio_id).benchmark_id is not None
    moves = [{"all": -0.15}, {"symbols": {"KO": -0.4, "AAPL": 0.1}}, {"sectors": {"Energy": 0.3, "Financials": -0.2}}]
    moves += [{"benchmark": -0.25}] if has_benchmark else []
    nothing = {"symbols": {}, "sectors": {}, "all": None, "benchmark": None}
    return {
        **book,
        "scenarios": _pick(random, [["all"], ["covid_2020", "gulf_1990"], [], ["rates_2022"]]),
        "shocks": [{"name": f"own {place}", **nothing, **move} for place, move in enumerate(moves)][number % 4 :],
        "reverse": {"loss": amount, "loss_pct": None} if is_amount else {"loss": None, "loss_pct": amount / 1e6},
    }


def _performance(
    number: int, portfolio_id: str, windows: tuple[int, ...], random: np.random.Generator
) -> dict[str, Any]:
    symbols = random.choice(HELD, 5, replace=False).tolist()
    resampling = {"samples": 100, "block_days": _pick(random, [None, 20.0]), "confidence": 0.9, "seed": number}
    composition = dict(zip(symbols, random.dirichlet(np.ones(5)).tolist(), strict=True))
    return {
        "start_date": f"{random.integers(2010, 2022)}-{random.integers(1, 13):02}-{random.integers(1, 29):02}",
        "end_date": _pick(random, ["2022-12-28", "2022-06-30", "2030-01-01"]),
        "benchmark": _pick(random, [None, "SP500", "XOM"]),
        "risk_free_rate": _pick(random, [0.0, 0.02, round(float(random.uniform(-0.01, 0.06)), 6)]),
        "rolling_window_days": _pick(random, [None, 20, 250]),
        "bootstrap": _pick(random, [None, resampling]),
        "factors": symbols[: int(random.integers(4))],
        "benchmark_weights": _pick(random, [None, composition]),
    }


ASKED = {
    analysis.KIND: _analysis,
    comparison.KIND: _comparison,
    stress.KIND: _stress,
    backtests.KIND: _backtest,
    PERFORMANCE: _performance,
}
