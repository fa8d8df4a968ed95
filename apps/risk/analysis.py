"""`risk.analyze`: VaR and expected shortfall of one portfolio, by any registered method (contract section 5)."""

from dataclasses import asdict
from typing import Any

from apps.portfolios.matrix import PriceMatrix, load_current_matrix
from apps.portfolios.models import Portfolio
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.risk.costs import check_cost
from apps.risk.inputs import exact_inputs, priced_book_of, staleness, submit_risk
from apps.risk.kernels.measures import annual_volatility
from apps.risk.measures import days_of_volume, further_measures, known_volumes
from apps.risk.methods import DEFAULTS, METHODS, Estimate, PricedBook, relevant
from apps.risk.models import RiskMetric
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task
from nautilus.cache import cached_result

KIND = "risk.analyze"
COMPONENT_FIGURES = (
    "component_var",
    "marginal_var",
    "incremental_var",
    "component_es",
    "marginal_es",
    "incremental_es",
)
_NO_PERCENTAGE = "the portfolio is worth {total:.2f}: a percentage of that means nothing, so those are null"


def submit_analysis(portfolio: Portfolio, parameters: dict[str, Any], user: Any) -> Task:
    """Raises TooExpensiveError."""
    parameters = relevant([parameters["method"]], parameters)
    check_cost(portfolio.id, [parameters], parameters["window_days"])
    return submit_risk(KIND, portfolio, parameters, user)


def run_analysis(job: Job) -> Outcome:
    """The whole job: what is asked for becomes exact inputs, the inputs become figures, both are kept."""
    job.progress(0, 3, "loading prices")
    matrix = load_current_matrix()
    job.progress(1, 3, "reading the book")
    inputs = exact_inputs(job.task.portfolio_id or "", job.task.inputs, matrix)
    inputs["volumes"] = known_volumes([symbol for symbol, _ in inputs["positions"]])
    job.progress(2, 3, inputs["method"])
    # Who retries wants it computed anew.
    result = (compute if job.task.retry_of_id else compute_once)(inputs, matrix)
    portfolio_id = inputs["portfolio_id"]

    def store() -> None:
        keep_snapshot(KIND, portfolio_id, inputs, result)
        RiskMetric.objects.create(task=job.task, **_metric_row(result))

    summary = {name: result[name] for name in ("as_of", "method", "confidence", "var", "expected_shortfall")}
    event = {"event": "risk.analyzed", "portfolio_id": portfolio_id, "task_id": str(job.task.id), **summary}
    return Outcome(result, store, [(f"portfolio:updates:{portfolio_id}", event)])


def compute(inputs: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """The result from its exact inputs, and from nothing else: computed again it is the same to the bit."""
    book = priced_book_of(inputs, matrix)
    estimate = METHODS[inputs["method"]].estimate(book, {**DEFAULTS, **inputs})
    estimate.warnings.extend(staleness(inputs, matrix))
    names = ("portfolio_id", "as_of", "method", "confidence", "horizon_days", "horizon_method")
    return {
        **{name: inputs[name] for name in names},
        **_figures(book, estimate, inputs),
        "currency": inputs["currency"],
        "snapshot_id": snapshot_id(KIND, inputs),
    }


def _version(inputs: dict[str, Any], matrix: PriceMatrix) -> str:
    return f"{inputs['ledger_version']}-{inputs['price_version']}"


def _everything(inputs: dict[str, Any], matrix: PriceMatrix) -> Any:
    return [inputs, matrix.origin]


# Equal inputs have equal results, so they are computed once while the answer is kept; a replay computes.
compute_once = cached_result(prefix="risk", name="analyze", version=_version, key=_everything)(compute)


def _figures(book: PricedBook, estimate: Estimate, inputs: dict[str, Any]) -> dict[str, Any]:
    has_value = book.total > 0
    warnings = [] if has_value else [_NO_PERCENTAGE.format(total=book.total)]
    volume_days = days_of_volume(inputs["positions"], inputs.get("volumes", []))
    further = further_measures(book, inputs["confidence"], volume_days)
    days_to_unwind, reasons = further.pop("days_to_unwind"), further.pop("warnings")
    return {
        "observations": estimate.observations,
        "portfolio_value": book.total,
        "var": estimate.var,
        "var_pct": estimate.var / book.total if has_value else None,
        "expected_shortfall": estimate.expected_shortfall,
        "expected_shortfall_pct": estimate.expected_shortfall / book.total if has_value else None,
        "volatility_annual": annual_volatility(book.pnl, book.total),
        "worst_scenarios": [asdict(scenario) for scenario in estimate.worst],
        **further,
        "components": _components(book, estimate, days_to_unwind),
        "standard_error": estimate.standard_error,
        "warnings": [*estimate.warnings, *warnings, *reasons],
    }


def _components(book: PricedBook, estimate: Estimate, days_to_unwind: list[float | None]) -> list[dict[str, Any]]:
    weights = (book.values / book.total).tolist() if book.total > 0 else [None] * len(book.values)
    figures = {name: getattr(estimate, name).tolist() for name in COMPONENT_FIGURES}
    columns = {
        "symbol": book.symbols,
        "value": book.values.tolist(),
        "weight": weights,
        **figures,
        "days_to_unwind": days_to_unwind,
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _metric_row(result: dict[str, Any]) -> dict[str, Any]:
    copied = (
        "portfolio_id",
        "as_of",
        "method",
        "confidence",
        "horizon_days",
        "observations",
        "currency",
        "portfolio_value",
        "var",
        "var_pct",
        "expected_shortfall",
        "expected_shortfall_pct",
        "volatility_annual",
        "snapshot_id",
    )
    return {name: result[name] for name in copied}
