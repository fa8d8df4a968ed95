"""`calculate_portfolio_performance`: what a portfolio earned over a period (contract section 7)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from apps.analytics.attribution import sectors_of, sectors_version
from apps.analytics.cache import cache_analytics_result
from apps.analytics.kernels.first_form import in_first_form
from apps.analytics.kernels.performance import START, Drawdown, Measures, drawdown_table, measure, monthly_returns
from apps.analytics.models import AnalyticsMetric
from apps.analytics.period import Period, closes_of, gap_of, read_period
from apps.analytics.whole_book import figures_of_book
from apps.portfolios.bookings import read_bookings
from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import DateArray, FloatArray, PriceMatrix, load_current_matrix
from apps.portfolios.models import Portfolio
from apps.portfolios.prices import current_price_version
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task
from apps.tasks.submission import submit_task

KIND = "calculate_portfolio_performance"

# What a result holds is part of its inputs: those without a form are of the first, and come out as it was.
FORM = 2
FIRST_METRICS = (
    *("total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown"),
    *("best_day", "worst_day", "var_95", "cvar_95", "alpha", "beta"),
)
NO_BENCHMARK = "no benchmark"

Progress = Callable[[int, int], None]


def submit_performance(portfolio: Portfolio, parameters: dict[str, Any], user: Any) -> Task:
    version = f"{portfolio.ledger_version}/{current_price_version()}/{portfolio.benchmark_id}"
    version += f"/{sectors_version()}" if parameters.get("benchmark_weights") else ""
    return submit_task(KIND, parameters, user=user, portfolio_id=portfolio.id, data_version=version)


def run_performance(job: Job) -> Outcome:
    """The whole job: what is asked for becomes exact inputs, the inputs become figures, both are kept."""
    steps = 3 + ((job.task.inputs.get("bootstrap") or {}).get("samples") or 0)
    job.progress(0, steps, "loading prices")
    matrix = load_current_matrix()
    job.progress(1, steps, "reading the ledger")
    inputs = exact_inputs(Portfolio.objects.get(pk=job.task.portfolio_id), job.task.inputs, matrix)
    job.progress(2, steps, "measuring")
    # Who retries wants it computed anew.
    computed = compute if job.task.retry_of_id else compute_once
    result = computed(inputs, matrix, lambda done, _: job.progress(3 + done, steps, "resampling"))
    return _outcome(job.task, inputs, result)


def _outcome(task: Task, inputs: dict[str, Any], result: dict[str, Any]) -> Outcome:
    portfolio_id = inputs["portfolio_id"]

    def store() -> None:
        keep_snapshot(KIND, portfolio_id, inputs, result)
        AnalyticsMetric.objects.create(
            task=task,
            portfolio_id=portfolio_id,
            snapshot_id=result["snapshot_id"],
            start_date=result["start_date"],
            end_date=result["end_date"],
            result=result,
        )

    event = {
        "event": "performance.calculated",
        "task_id": str(task.id),
        **{name: result[name] for name in ("portfolio_id", "start_date", "end_date", "metrics")},
    }
    return Outcome(result, store, [(f"analytics:updates:{portfolio_id}", event)])


def exact_inputs(portfolio: Portfolio, parameters: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """Everything the figures depend on, in canonical form: what `snapshot_id` is a hash of."""
    weights = parameters.get("benchmark_weights")
    return {
        "form": FORM,
        "portfolio_id": portfolio.id,
        "ledger_version": portfolio.ledger_version,
        "price_version": matrix.version,
        "calendar": portfolio.benchmark_id,
        "start_date": parameters["start_date"],
        "end_date": parameters["end_date"],
        "benchmark": parameters.get("benchmark") or portfolio.benchmark_id,
        "risk_free_rate": parameters["risk_free_rate"],
        "rolling_window_days": parameters.get("rolling_window_days"),
        "bootstrap": parameters.get("bootstrap"),
        "factors": parameters.get("factors") or [],
        "benchmark_weights": weights,
        "sectors": _sectors(portfolio, weights) if weights else None,
    }


def _sectors(portfolio: Portfolio, benchmark_weights: dict[str, float]) -> dict[str, str]:
    return sectors_of({*benchmark_weights, *read_bookings(portfolio.id, portfolio.ledger_version).symbols})


def compute(inputs: dict[str, Any], matrix: PriceMatrix, progress: Progress | None = None) -> dict[str, Any]:
    """The result from its exact inputs, and from nothing else: computed again it is the same to the bit."""
    period = read_period(inputs, matrix)
    benchmark, gap = _benchmark_returns(inputs["benchmark"], period, matrix)
    measures = _measured(period, benchmark, gap, inputs["risk_free_rate"])
    result = _first_form(inputs, period, measures)
    if inputs.get("form", 1) < FORM:
        return _as_first(result, in_first_form(measures.metrics, period.returns, benchmark, inputs["risk_free_rate"]))
    fields, reasons = figures_of_book(inputs, period, benchmark, matrix, progress or (lambda done, total: None))
    return {**result, **_warned(result, period, gap), **fields, "reasons": {**result["reasons"], **reasons}}


def _version(inputs: dict[str, Any], matrix: PriceMatrix, progress: Progress) -> str:
    return f"{inputs['ledger_version']}-{inputs['price_version']}"


def _everything(inputs: dict[str, Any], matrix: PriceMatrix, progress: Progress) -> Any:
    return [inputs, matrix.origin]


# Equal inputs have equal results, so they are computed once while the answer is kept; a replay computes.
compute_once = cache_analytics_result(name="performance", version=_version, key=_everything)(compute)


def _first_form(inputs: dict[str, Any], period: Period, measures: Measures) -> dict[str, Any]:
    portfolio = Portfolio.objects.get(pk=inputs["portfolio_id"])
    start, ends = period.start, period.ends
    return {
        "portfolio_id": portfolio.id,
        "start_date": str(start),
        "end_date": str(ends[-1]),
        "observations": len(period.returns),
        "benchmark": inputs["benchmark"],
        "risk_free_rate": inputs["risk_free_rate"],
        "currency": portfolio.base_currency,
        "metrics": measures.metrics,
        "reasons": measures.reasons,
        "drawdowns": [_shown(drawdown, start, ends) for drawdown in drawdown_table(period.returns)],
        "monthly_returns": _months(ends, period.returns),
        "snapshot_id": snapshot_id(KIND, inputs),
        "warnings": _warnings(inputs, str(start), str(ends[-1])),
    }


def _as_first(result: dict[str, Any], metrics: dict[str, float | None]) -> dict[str, Any]:
    """With the measures that a result of the first form has, as it computed them."""

    def of_its_time(named: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in named.items() if name in FIRST_METRICS}

    return {**result, "metrics": of_its_time(metrics), "reasons": of_its_time(result["reasons"])}


def _measured(period: Period, benchmark: FloatArray | None, gap: str | None, risk_free_rate: float) -> Measures:
    measures = measure(period.returns, benchmark, risk_free_rate, period.ends)
    if gap is None:
        return measures
    reasons = {name: gap if reason == NO_BENCHMARK else reason for name, reason in measures.reasons.items()}
    return Measures(measures.metrics, reasons)


def _benchmark_returns(symbol: str | None, period: Period, matrix: PriceMatrix) -> tuple[FloatArray | None, str | None]:
    """The benchmark's returns over the period's days, or None and, where it has no price on some, which."""
    if symbol is None:
        return None, None
    closes = closes_of(symbol, period.dates, matrix)
    gap = gap_of(symbol, closes, period.dates)
    return (None, f"the benchmark {gap}") if gap else (simple_returns(closes[:, None])[:, 0], None)


def _shown(drawdown: Drawdown, start: np.datetime64, ends: DateArray) -> dict[str, Any]:
    def day(row: int | None) -> str | None:
        return None if row is None else str(start if row == START else ends[row])

    return {
        "peak": day(drawdown.peak),
        "trough": day(drawdown.trough),
        "recovery": day(drawdown.recovery),
        "depth": drawdown.depth,
        "days": drawdown.days,
    }


def _months(ends: DateArray, returns: FloatArray) -> list[dict[str, Any]]:
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


def _warned(result: dict[str, Any], period: Period, gap: str | None) -> dict[str, list[str]]:
    warnings = list(result["warnings"])
    if period.ended:
        warnings = [warning for warning in warnings if not warning.startswith("end_date")]
        warnings.append(f"worth {period.values[-1]:.2f} on {period.dates[-1]}: there are no returns after that day")
    if gap is not None:
        warnings.append(f"{gap}: no measure against it is given")
    return {"warnings": warnings}


def latest_performance(portfolio: Portfolio) -> AnalyticsMetric | None:
    return AnalyticsMetric.objects.filter(portfolio=portfolio).first()
