"""`risk.compare`: one book by every method in one table, with how far the methods disagree."""

from statistics import median
from typing import Any

from apps.portfolios.matrix import PriceMatrix, load_current_matrix
from apps.portfolios.models import Portfolio
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.risk.costs import check_cost
from apps.risk.inputs import exact_inputs, priced_book_of, staleness, submit_risk
from apps.risk.methods import DISTRIBUTIONS, METHODS, PricedBook, relevant
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task

KIND = "risk.compare"
_FIGURES = ("var", "expected_shortfall")


def variants(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """One set of parameters a row of the table: a method that takes a distribution is there once for each."""
    rows = []
    for method in parameters["methods"]:
        distributions = DISTRIBUTIONS if "distribution" in METHODS[method].uses else ("normal",)
        rows += [relevant([method], {**parameters, "method": method, "distribution": name}) for name in distributions]
    return rows


def submit_comparison(portfolio: Portfolio, parameters: dict[str, Any], user: Any) -> Task:
    """Raises TooExpensiveError."""
    parameters = relevant(parameters["methods"], parameters)
    parameters.pop("distribution", None)  # the table has them all
    check_cost(portfolio.id, variants(parameters), parameters["window_days"])
    return submit_risk(KIND, portfolio, parameters, user)


def run_comparison(job: Job) -> Outcome:
    matrix = load_current_matrix()
    inputs = exact_inputs(job.task.portfolio_id or "", job.task.inputs, matrix)
    result = compute(inputs, matrix, job)
    portfolio_id = inputs["portfolio_id"]
    event = {
        "event": "risk.compared",
        "task_id": str(job.task.id),
        **{name: result[name] for name in ("portfolio_id", "as_of", "confidence", "disagreement")},
    }
    topic = f"portfolio:updates:{portfolio_id}"
    return Outcome(result, lambda: keep_snapshot(KIND, portfolio_id, inputs, result), [(topic, event)])


def compute(inputs: dict[str, Any], matrix: PriceMatrix, job: Job | None = None) -> dict[str, Any]:
    """The table from its exact inputs, and from nothing else: computed again it is the same to the bit."""
    book = priced_book_of(inputs, matrix)
    asked = variants(inputs)
    rows = []
    for done, parameters in enumerate(asked):
        if job:
            job.progress(done, len(asked), parameters["method"])
        rows.append(_row(book, parameters))
    names = ("portfolio_id", "as_of", "confidence", "horizon_days", "horizon_method", "currency")
    return {
        **{name: inputs[name] for name in names},
        "portfolio_value": book.total,
        "methods": rows,
        "disagreement": {figure: _disagreement(rows, figure) for figure in _FIGURES},
        "snapshot_id": snapshot_id(KIND, inputs),
        "warnings": [*book.warnings, *staleness(inputs, matrix)],
    }


def _row(book: PricedBook, parameters: dict[str, Any]) -> dict[str, Any]:
    estimate = METHODS[parameters["method"]].estimate(book, parameters)
    largest = max(zip(estimate.component_var.tolist(), book.symbols, strict=True))
    has_value = book.total > 0
    return {
        "method": parameters["method"],
        "distribution": parameters.get("distribution"),
        "var": estimate.var,
        "var_pct": estimate.var / book.total if has_value else None,
        "expected_shortfall": estimate.expected_shortfall,
        "expected_shortfall_pct": estimate.expected_shortfall / book.total if has_value else None,
        "standard_error": estimate.standard_error,
        "largest_component": {"symbol": largest[1], "component_var": largest[0]},
        "warnings": [warning for warning in estimate.warnings if warning not in book.warnings],
    }


def _disagreement(rows: list[dict[str, Any]], figure: str) -> dict[str, Any]:
    """The range over the methods, and as part of their median: above a third, look at which method fits the book."""
    ranked = sorted(rows, key=lambda row: row[figure])
    middle = median(row[figure] for row in rows)
    lowest, highest = ranked[0], ranked[-1]
    return {
        "lowest": {name: lowest[name] for name in ("method", "distribution", figure)},
        "highest": {name: highest[name] for name in ("method", "distribution", figure)},
        "median": middle,
        "spread_pct": (highest[figure] - lowest[figure]) / middle if middle > 0 else None,
    }
