"""`risk.analyze`: VaR and expected shortfall of one portfolio, by any registered method (contract section 5)."""

from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from apps.portfolios.matrix import PriceMatrix, load_current_matrix
from apps.portfolios.models import Portfolio
from apps.portfolios.prices import current_price_version
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.risk.books import Book, book_at, current_book, latest_common_date, price_book
from apps.risk.kernels.historical import annual_volatility, scenario_pnl
from apps.risk.methods import METHODS, Estimate, PricedBook
from apps.risk.models import RiskMetric
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task
from apps.tasks.submission import submit_task

KIND = "risk.analyze"
_NO_PERCENTAGE = "the portfolio is worth {total:.2f}: a percentage of that means nothing, so those are null"


def submit_analysis(portfolio: Portfolio, parameters: dict[str, Any], user: Any) -> Task:
    version = f"{portfolio.ledger_version}/{current_price_version()}/{portfolio.benchmark_id}"
    return submit_task(KIND, parameters, user=user, portfolio_id=portfolio.id, data_version=version)


def run_analysis(job: Job) -> Outcome:
    """The whole job: what is asked for becomes exact inputs, the inputs become figures, both are kept."""
    job.progress(0, 3, "loading prices")
    matrix = load_current_matrix()
    job.progress(1, 3, "reading the book")
    inputs = exact_inputs(job.task.portfolio_id or "", job.task.inputs, matrix)
    job.progress(2, 3, inputs["method"])
    result = compute(inputs, matrix)
    portfolio_id = inputs["portfolio_id"]

    def store() -> None:
        keep_snapshot(KIND, portfolio_id, inputs, result)
        RiskMetric.objects.create(task=job.task, **_metric_row(result))

    summary = {name: result[name] for name in ("as_of", "method", "confidence", "var", "expected_shortfall")}
    event = {"event": "risk.analyzed", "portfolio_id": portfolio_id, "task_id": str(job.task.id), **summary}
    return Outcome(result, store, [(f"portfolio:updates:{portfolio_id}", event)])


def exact_inputs(portfolio_id: str, parameters: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """Everything the figures depend on, in canonical form: what `snapshot_id` is a hash of.

    Without `as_of` the current positions are valued at the latest common prices; with it, what the ledger held then.
    """
    asked = parameters.get("as_of")
    book = book_at(portfolio_id, date.fromisoformat(asked)) if asked else current_book(portfolio_id)
    as_of = asked or latest_common_date(book.symbols, book.benchmark, matrix).isoformat()
    return {
        "portfolio_id": portfolio_id,
        "currency": book.currency,
        "benchmark": book.benchmark,
        "cash": str(book.cash),
        "positions": [[symbol, str(quantity)] for symbol, quantity in book.quantities],
        "ledger_version": book.ledger_version,
        "price_version": matrix.version,
        **{name: value for name, value in parameters.items() if name != "portfolio_id"},
        "as_of": as_of,
        "as_of_asked": asked is not None,
    }


def compute(inputs: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """The result from its exact inputs, and from nothing else: computed again it is the same to the bit."""
    positions = tuple((symbol, Decimal(quantity)) for symbol, quantity in inputs["positions"])
    book = Book(
        inputs["portfolio_id"],
        inputs["currency"],
        inputs["benchmark"],
        inputs["ledger_version"],
        Decimal(inputs["cash"]),
        positions,
    )
    priced = price_book(book, date.fromisoformat(inputs["as_of"]), inputs["window_days"], matrix)
    estimate = METHODS[inputs["method"]](priced, inputs)
    newest = str(matrix.dates[matrix.trading_days(book.symbols, book.benchmark)[-1]])
    if not inputs["as_of_asked"] and inputs["as_of"] < newest:
        estimate.warnings.append(
            f"valued at {inputs['as_of']}, the latest day on which all that is held has a price; prices run to {newest}"
        )
    names = ("portfolio_id", "as_of", "method", "confidence", "horizon_days", "horizon_method")
    return {
        **{name: inputs[name] for name in names},
        **_figures(priced, estimate),
        "currency": book.currency,
        "snapshot_id": snapshot_id(KIND, inputs),
    }


def _figures(book: PricedBook, estimate: Estimate) -> dict[str, Any]:
    has_value = book.total > 0
    warnings = [] if has_value else [_NO_PERCENTAGE.format(total=book.total)]
    return {
        "observations": estimate.observations,
        "portfolio_value": book.total,
        "var": estimate.var,
        "var_pct": estimate.var / book.total if has_value else None,
        "expected_shortfall": estimate.expected_shortfall,
        "expected_shortfall_pct": estimate.expected_shortfall / book.total if has_value else None,
        "volatility_annual": annual_volatility(scenario_pnl(book.returns, book.values), book.total),
        "worst_scenarios": [asdict(scenario) for scenario in estimate.worst],
        "components": _components(book, estimate),
        "standard_error": estimate.standard_error,
        "warnings": [*estimate.warnings, *warnings],
    }


def _components(book: PricedBook, estimate: Estimate) -> list[dict[str, Any]]:
    columns = (book.values, estimate.component, estimate.marginal, estimate.incremental)
    rows = zip(book.symbols, *(column.tolist() for column in columns), strict=True)
    return [
        {
            "symbol": symbol,
            "value": value,
            "weight": value / book.total if book.total > 0 else None,
            "component_var": component,
            "marginal_var": marginal,
            "incremental_var": incremental,
        }
        for symbol, value, component, marginal, incremental in rows
    ]


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
