"""Makes the books of benchmarks/monitor.py in an empty database, and measures runs of the monitor over them."""
# ruff: noqa: E402 - settings are read first

import json
import os
import sys
from datetime import date, timedelta
from typing import Any

import django
import numpy as np

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
django.setup()

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.portfolios.copying import copy_rows
from apps.portfolios.models import Portfolio
from apps.portfolios.price_import import import_prices
from apps.portfolios.prices import current_price_version
from apps.risk.models import RiskLimit
from apps.risk.monitor.memory import Memory
from apps.risk.monitor.run import run_monitor
from benchmarks.measuring import measured

DAYS, OTHER_SYMBOLS = 520, 100  # others: of all, each book holds a random choice
# All kinds of work that limits cause; a book of equal shares keeps all but one of them.
LIMITS = {
    "var_95": 1e9,
    "var_99": 1e9,
    "expected_shortfall_975": 1e9,
    "gross_exposure": 1e9,
    "net_exposure": 1.0,
    "leverage": 10.0,
    "concentration": 0.9,
    "drawdown": 0.9,
    "daily_loss": 1e9,
    "order_rate": 100.0,
}
NEW_PRICES = "one price changed: every book measured, its figures stored"
NEW_PROCESS = "a process that remembers nothing, figures stored before"
ONE_TRADE = "one book changed"
NOTHING = "nothing changed"


def main(portfolios: int, symbols: int, rounds: int) -> None:
    """Prints the seconds of each run as JSON: name to rounds to times."""
    call_command("migrate", verbosity=0)
    names = make_prices(symbols + OTHER_SYMBOLS)
    make_books(portfolios, symbols, names)
    run_monitor(Memory())
    memory = Memory()
    times: dict[str, list[list[float]]] = {name: [] for name in (NEW_PRICES, NEW_PROCESS, ONE_TRADE, NOTHING)}
    for number in range(rounds):
        _change_one_price(names[0], 100 + number)
        times[NEW_PRICES].append(_runs(memory))
        times[NEW_PROCESS].append(_runs(memory := Memory()))
        Portfolio.objects.filter(pk="B00000").update(ledger_version=number + 2)
        times[ONE_TRADE].append(_runs(memory))
        times[NOTHING].append(_runs(memory, 5))
    json.dump(times, sys.stdout)


def _runs(memory: Memory, calls: int = 1) -> list[float]:
    said: list[str] = []
    times = measured(lambda: said.append(run_monitor(memory)), calls)
    if "portfolios" not in said[-1]:
        raise RuntimeError(said[-1])
    return times


def _days() -> list[date]:
    return [date(2023, 1, 2) + timedelta(days=number + number // 5 * 2) for number in range(DAYS)]


def make_prices(count: int) -> list[str]:
    random = np.random.default_rng(7)
    closes = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.01, (DAYS, count)), axis=0)), 4)
    names = [f"X{number:04d}" for number in range(count)]
    rows = [f"{day}," + ",".join(map(str, row)) for day, row in zip(_days(), closes.tolist(), strict=True)]
    import_prices("\n".join([",".join(["date", *names]), *rows]).encode(), "benchmark")
    return names


def _change_one_price(symbol: str, close: float) -> None:
    import_prices(f"date,symbol,close\n{_days()[-1]},{symbol},{close}\n".encode(), "benchmark")


def make_books(portfolios: int, symbols: int, names: list[str]) -> None:
    """Past the ledger, which would take minutes: positions, a stored history up to the last close, limits."""
    now, version, days = timezone.now(), current_price_version(), _days()
    ids = [f"B{number:05d}" for number in range(portfolios)]
    Portfolio.objects.bulk_create(
        Portfolio(
            id=each,
            name=each,
            initial_cash=10**8,
            cash=10**8 - symbols * 10_000,
            inception_date=days[0],
            benchmark_id=names[-1],
            ledger_version=1,
            history_ledger_version=1,
            history_price_version=version,
        )
        for each in ids
    )
    random = np.random.default_rng(11)
    copy_rows("portfolios_position", ("portfolio_id", "symbol", "quantity", "average_cost", "updated_at"), (
        (each, names[column], 100, 100, now)
        for each in ids
        for column in random.choice(len(names), symbols, replace=False)
    ))  # fmt: skip
    data: Any = (
        "portfolio_id",
        "date",
        "value",
        "cash",
        "net_flow",
        "gross_exposure",
        "net_exposure",
        "positions_count",
    )
    copy_rows("portfolio_data", data, ((each, day, 1e8, 5e7, 0, 5e7, 5e7, symbols) for each in ids for day in days))
    copy_rows("portfolio_returns", ("portfolio_id", "date", "return"), (
        (each, day, move)
        for each in ids
        for day, move in zip(days[1:], random.normal(0, 0.01, DAYS - 1).tolist(), strict=True)
    ))  # fmt: skip
    RiskLimit.objects.bulk_create(
        RiskLimit(portfolio_id=each, kind=kind, threshold_value=bound, warning_threshold=0.8 * bound)
        for each in ids
        for kind, bound in LIMITS.items()
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
