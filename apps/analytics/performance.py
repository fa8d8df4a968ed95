"""`calculate_portfolio_performance`: what a portfolio earned over a period (contract section 7)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.analytics.errors import BenchmarkError, PeriodError
from apps.analytics.kernels.performance import START, Drawdown, drawdown_table, measure, monthly_returns
from apps.analytics.models import AnalyticsMetric
from apps.portfolios.histories import History, portfolio_history
from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import PriceMatrix, load_current_matrix
from apps.portfolios.models import Portfolio
from apps.portfolios.prices import current_price_version
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task
from apps.tasks.submission import submit_task

KIND = "calculate_portfolio_performance"


def submit_performance(portfolio: Portfolio, parameters: dict[str, Any], user: Any) -> Task:
    version = f"{portfolio.ledger_version}/{current_price_version()}/{portfolio.benchmark_id}"
    return submit_task(KIND, parameters, user=user, portfolio_id=portfolio.id, data_version=version)


def run_performance(job: Job) -> Outcome:
    """The whole job: what is asked for becomes exact inputs, the inputs become figures, both are kept."""
    job.progress(0, 3, "loading prices")
    matrix = load_current_matrix()
    job.progress(1, 3, "reading the ledger")
    inputs = exact_inputs(Portfolio.objects.get(pk=job.task.portfolio_id), job.task.inputs, matrix)
    job.progress(2, 3, "measuring")
    result = compute(inputs, matrix)
    portfolio_id = inputs["portfolio_id"]

    def store() -> None:
        keep_snapshot(KIND, portfolio_id, inputs, result)
        AnalyticsMetric.objects.create(
            task=job.task,
            portfolio_id=portfolio_id,
            snapshot_id=result["snapshot_id"],
            start_date=result["start_date"],
            end_date=result["end_date"],
            result=result,
        )

    event = {
        "event": "performance.calculated",
        "task_id": str(job.task.id),
        **{name: result[name] for name in ("portfolio_id", "start_date", "end_date", "metrics")},
    }
    return Outcome(result, store, [(f"analytics:updates:{portfolio_id}", event)])


def exact_inputs(portfolio: Portfolio, parameters: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """Everything the figures depend on, in canonical form: what `snapshot_id` is a hash of."""
    return {
        "portfolio_id": portfolio.id,
        "ledger_version": portfolio.ledger_version,
        "price_version": matrix.version,
        "calendar": portfolio.benchmark_id,
        "start_date": parameters["start_date"],
        "end_date": parameters["end_date"],
        "benchmark": parameters.get("benchmark") or portfolio.benchmark_id,
        "risk_free_rate": parameters["risk_free_rate"],
    }


def compute(inputs: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """The result from its exact inputs, and from nothing else: computed again it is the same to the bit."""
    portfolio = Portfolio.objects.get(pk=inputs["portfolio_id"])
    history = portfolio_history(portfolio, inputs["ledger_version"], matrix, inputs["calendar"])
    chosen = _chosen_days(history, inputs)
    returns, ends = history.returns[chosen], history.dates[1:][chosen]
    start = history.dates[:-1][chosen][0]
    benchmark = _benchmark_returns(inputs["benchmark"], start, ends, matrix)
    measures = measure(returns, benchmark, inputs["risk_free_rate"])
    return {
        "portfolio_id": portfolio.id,
        "start_date": str(start),
        "end_date": str(ends[-1]),
        "observations": len(returns),
        "benchmark": inputs["benchmark"],
        "risk_free_rate": inputs["risk_free_rate"],
        "currency": portfolio.base_currency,
        "metrics": measures.metrics,
        "reasons": measures.reasons,
        "drawdowns": [_shown(drawdown, start, ends) for drawdown in drawdown_table(returns)],
        "monthly_returns": _months(ends, returns),
        "snapshot_id": snapshot_id(KIND, inputs),
        "warnings": _warnings(inputs, str(start), str(ends[-1])),
    }


def _chosen_days(history: History, inputs: dict[str, Any]) -> NDArray[np.bool_]:
    """Which returns belong to the period: those that end after `start_date`, up to and including `end_date`."""
    ends = history.dates[1:]
    chosen = (ends > np.datetime64(inputs["start_date"])) & (ends <= np.datetime64(inputs["end_date"]))
    if not chosen.any():
        known = f"{history.dates[0]} to {history.dates[-1]}"
        raise PeriodError(
            f"{inputs['portfolio_id']} has no return between {inputs['start_date']} and {inputs['end_date']}.",
            f"Ask within its history, {known}, for more than one trading day.",
        )
    return chosen


def _benchmark_returns(
    symbol: str | None, start: np.datetime64, ends: NDArray[np.datetime64], matrix: PriceMatrix
) -> NDArray[np.float64] | None:
    if symbol is None:
        return None
    if symbol not in matrix.symbols:
        raise BenchmarkError(
            f"The benchmark {symbol} has no prices.", "Import them, or name another benchmark.", "benchmark"
        )
    rows = np.searchsorted(matrix.dates, np.concatenate([[start], ends]))
    prices = np.asarray(matrix.column(symbol))[rows]
    if np.isnan(prices).any():
        gaps = matrix.dates[rows][np.isnan(prices)]
        raise BenchmarkError(
            f"The benchmark {symbol} has no price on {len(gaps)} of the days, the first {gaps[0]}.",
            "Import them, or ask for a period in which it has all.",
            "benchmark",
        )
    return simple_returns(prices[:, None])[:, 0]


def _shown(drawdown: Drawdown, start: np.datetime64, ends: NDArray[np.datetime64]) -> dict[str, Any]:
    def day(row: int | None) -> str | None:
        return None if row is None else str(start if row == START else ends[row])

    return {
        "peak": day(drawdown.peak),
        "trough": day(drawdown.trough),
        "recovery": day(drawdown.recovery),
        "depth": drawdown.depth,
        "days": drawdown.days,
    }


def _months(ends: NDArray[np.datetime64], returns: NDArray[np.float64]) -> list[dict[str, Any]]:
    months = ends.astype("datetime64[M]").astype(int)
    rows = monthly_returns(1970 + months // 12, months % 12 + 1, returns)
    return [{"year": year, "month": month, "return": value} for year, month, value in rows]


def _warnings(inputs: dict[str, Any], start: str, end: str) -> list[str]:
    warnings = []
    if start > inputs["start_date"]:
        warnings.append(f"start_date {inputs['start_date']} moved to {start}, the first day with a value")
    if end < inputs["end_date"]:
        warnings.append(f"end_date {inputs['end_date']} moved to {end}, the last day with prices")
    return warnings


def latest_performance(portfolio: Portfolio) -> AnalyticsMetric | None:
    return AnalyticsMetric.objects.filter(portfolio=portfolio).first()
