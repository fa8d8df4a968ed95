"""The version on recorded closes, with costs, and whether it passes the gates (kernels/simulation.py has the rules)."""

from dataclasses import asdict
from typing import Any

import numpy as np
from django.conf import settings

from apps.portfolios.errors import NoTradingDayError
from apps.portfolios.matrix import FloatArray
from apps.portfolios.models import Instrument
from apps.strategies.book import quantity_steps, read_book
from apps.strategies.errors import GateBrokenError
from apps.strategies.gates import broken_gates, gates
from apps.strategies.kernels.gates import gate_figures
from apps.strategies.kernels.schedule import is_decision_day
from apps.strategies.kernels.simulation import Simulated, Simulation
from apps.strategies.pipeline.context import Context, refuse_gross
from apps.strategies.universe import Rows

LONGEST_CURVE = 500
LEAST_DAYS = 3
_SAY_EACH = 0.25  # of the backtest


def run(context: Context) -> dict[str, Any]:
    rows = context.rows()
    days = rows[-settings.STRATEGY_BACKTEST_DAYS :]
    if len(days) < LEAST_DAYS:
        raise NoTradingDayError(
            f"There are {len(days)} recorded days of {len(context.symbols)} symbols.", "Import prices first."
        )
    simulated = _simulate(context, rows, days)
    result = _result(context, days, simulated)
    if broken := broken_gates(result["figures"]):
        raise BacktestFailedError("; ".join(broken), result)
    context.say(_in_words(result))
    return result


class BacktestFailedError(GateBrokenError):
    """Carries the figures: whoever reads why wants to see them."""

    def __init__(self, detail: str, result: dict[str, Any]) -> None:
        super().__init__(f"{detail}.", "Change the strategy, or the gate (docs/strategies.md).")
        self.result = result


def _simulate(context: Context, rows: Rows, days: Rows) -> Simulated:
    """The sandbox is given each day only when its close is known: nothing of a later one is in its memory."""
    portfolio = context.deployment.portfolio
    equity = read_book(portfolio.pk, context.symbols, context.matrix, int(days[-1])).equity
    simulation = Simulation(
        equity, quantity_steps(context.symbols), context.deployment.cost_rate, symbols=context.symbols
    )
    due = is_decision_day(context.matrix.dates[days], context.deployment.schedule)
    closes = context.matrix.closes(context.symbols, days)
    fed = max(0, len(rows) - len(days) - settings.STRATEGY_HISTORY_DAYS)  # what the first day may look back on
    with context.sandbox() as sandbox:
        for number, of_day in enumerate(closes):
            simulation.step(of_day)
            if due[number]:
                known = len(rows) - len(days) + number + 1
                context.feed(sandbox, rows[fed:known])
                fed = known
                simulation.decide(_weights(context, sandbox.target_weights()))
                context.progress(number + 1, len(days), "backtest")
    return simulation.results()


def _weights(context: Context, answer: Any) -> FloatArray:
    weights = context.as_array(answer)
    refuse_gross(weights, settings.STRATEGY_MAX_GROSS)
    return weights


def _result(context: Context, days: Rows, simulated: Simulated) -> dict[str, Any]:
    dates = context.matrix.dates[days]
    figures = asdict(gate_figures(simulated, _volumes(context.symbols), settings.GATE_MAX_PARTICIPATION))
    return {
        "from": str(dates[0]),
        "to": str(dates[-1]),
        "price_version": context.matrix.version,
        "initial_equity": float(simulated.values[0]),
        "final_equity": float(simulated.values[-1]),
        "costs": float(simulated.costs.sum()),
        "orders": int((simulated.orders != 0).sum()),
        "figures": figures,
        "gates": {name: {"side": side, "bound": bound} for name, (side, bound) in gates().items()},
        "curve": _curve(dates, simulated.values),
    }


def _volumes(symbols: list[str]) -> FloatArray:
    known = dict(Instrument.objects.filter(pk__in=symbols).values_list("symbol", "average_daily_volume"))
    return np.array([np.nan if (volume := known.get(symbol)) is None else float(volume) for symbol in symbols])


def _curve(dates: Any, values: FloatArray) -> list[list[Any]]:
    """Date and value, at most some hundred of them, the last day among them."""
    stride = -(-len(values) // LONGEST_CURVE)
    chosen = np.arange(len(values) - 1, -1, -stride)[::-1]
    return [[str(dates[row]), round(float(values[row]), 2)] for row in chosen]


def _in_words(result: dict[str, Any]) -> str:
    figures = result["figures"]
    told = (
        ("Sharpe ratio", figures["sharpe"], "{:.2f}"),
        ("largest drawdown", figures["max_drawdown"], "{:.1%}"),
        ("turnover", figures["annual_turnover"], "{:.1f} a year"),
    )
    words = ", ".join(f"{name} {'unknown' if value is None else shape.format(value)}" for name, value, shape in told)
    return f"{result['from']} to {result['to']}, {result['orders']} orders: {words}"
