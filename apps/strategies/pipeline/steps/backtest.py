"""The version on recorded closes, with costs, and whether it passes the gates (kernels/simulation.py has the rules)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from django.conf import settings

from apps.portfolios.errors import NoTradingDayError, NoValueError
from apps.portfolios.matrix import FloatArray
from apps.portfolios.models import Instrument
from apps.strategies.book import quantity_steps, read_book
from apps.strategies.errors import GateBrokenError
from apps.strategies.gates import broken_gates, gates
from apps.strategies.kernels.gates import gate_figures
from apps.strategies.kernels.schedule import is_decision_day
from apps.strategies.kernels.simulation import Simulated, Simulation
from apps.strategies.pipeline.context import Context
from apps.strategies.sandbox import BadWeightsError
from apps.strategies.sizing import min_quantities
from apps.strategies.universe import Rows

LONGEST_CURVE = 500
LEAST_DAYS = 3


def run(context: Context) -> dict[str, Any]:
    rows = context.rows()
    days = rows[-settings.STRATEGY_BACKTEST_DAYS :]
    if len(days) < LEAST_DAYS:
        raise NoTradingDayError(
            f"There are {len(days)} recorded days of {len(context.symbols)} symbols.", "Import prices first."
        )
    simulated = _simulate(context, days)
    result = _result(context, days[: len(simulated.values)], simulated)
    if broken := broken_gates(result["figures"]):
        raise BacktestFailedError("; ".join(broken), result)
    context.say(_in_words(result))
    return result


class BacktestFailedError(GateBrokenError):
    """Carries the figures: whoever reads why wants to see them."""

    def __init__(self, detail: str, result: dict[str, Any]) -> None:
        super().__init__(f"{detail}.", "Change the strategy, or the gate (docs/strategies.md).")
        self.result = result


def _simulate(context: Context, days: Rows) -> Simulated:
    """The strategy is given each day only when its close is known: nothing of a later one is in its memory."""
    simulation = Simulation(
        _equity(context, days),
        quantity_steps(context.symbols),
        context.deployment.cost_rate,
        settings.STRATEGY_MIN_NOTIONAL,
        symbols=context.symbols,
        min_quantities=min_quantities(context.symbols),
    )
    due = is_decision_day(context.matrix.dates[days], context.deployment.schedule)
    closes = context.matrix.closes(context.symbols, days)
    with context.strategies() as strategies:
        for number, row in enumerate(days.tolist()):
            simulation.step(closes[number])
            if simulation.equity <= 0:
                break  # ruined: the gates see how
            if due[number]:
                _decide(context, simulation, strategies.ask(context.deployment, row).weights)
                context.progress(number + 1, len(days), "backtest")
    return simulation.results()


def _equity(context: Context, days: Rows) -> float:
    """What the backtest begins with: the portfolio's worth now."""
    portfolio_id = context.deployment.portfolio_id
    equity = read_book(portfolio_id, context.symbols, context.matrix, int(days[-1])).equity
    if equity <= 0:
        raise NoValueError(
            f"{portfolio_id} is worth {equity:.2f}: there is nothing to size orders by.", "Pay cash in first."
        )
    return equity


def _decide(context: Context, simulation: Simulation, weights: Mapping[str, float]) -> None:
    try:
        simulation.decide(np.array([weights.get(symbol, 0.0) for symbol in context.symbols]))
    except ValueError as error:
        raise BadWeightsError(f"No orders can be made of the weights: {error}.") from error


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
