"""`risk.stress`: what a book would lose in moves of the past and in one's own, and which move loses an amount."""

from dataclasses import asdict
from datetime import date
from typing import Any

from apps.portfolios.matrix import PriceMatrix, load_current_matrix
from apps.portfolios.models import Instrument
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.risk.books import value_book
from apps.risk.errors import ProxyError
from apps.risk.inputs import book_of, exact_inputs, staleness
from apps.risk.past_moves import historical_rows
from apps.risk.reverse import reverse_row
from apps.risk.scenarios import SCENARIOS
from apps.risk.shocks import shock_rows
from apps.risk.stress_rows import StressBook
from apps.risk.stress_window import StressWindow, window_of
from apps.tasks.execution import Job, Outcome

KIND = "risk.stress"
ALL = "all"
_NO_PERCENTAGE = "the portfolio is worth {total:.2f}: a percentage of that means nothing, so those are null"


def run_stress(job: Job) -> Outcome:
    job.progress(0, 3, "loading prices")
    matrix = load_current_matrix()
    job.progress(1, 3, "reading the book")
    inputs = stress_inputs(job.task.portfolio_id or "", job.task.inputs, matrix)
    job.progress(2, 3, "moving prices")
    result = compute(inputs, matrix)
    portfolio_id = inputs["portfolio_id"]
    event = {
        "event": "risk.stressed",
        "task_id": str(job.task.id),
        **{name: result[name] for name in ("portfolio_id", "as_of", "worst")},
        "worst_pnl": min((row["pnl"] for row in result["scenarios"]), default=None),
    }
    topic = f"portfolio:updates:{portfolio_id}"
    return Outcome(result, lambda: keep_snapshot(KIND, portfolio_id, inputs, result), [(topic, event)])


def stress_inputs(portfolio_id: str, parameters: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """The exact inputs: with the sectors of what is held and the days of the scenarios, as both may be edited."""
    inputs = exact_inputs(portfolio_id, parameters, matrix)
    held = [symbol for symbol, _ in inputs["positions"]]
    sectors = dict(Instrument.objects.filter(pk__in=held).values_list("symbol", "sector"))
    return {**inputs, "sectors": sectors, "scenarios": [declared(name) for name in _asked_for(parameters)]}


def _asked_for(parameters: dict[str, Any]) -> list[str]:
    """Names in the order asked for; all of them where nothing at all was asked for."""
    asked = parameters["scenarios"]
    if ALL in asked or not (asked or parameters["shocks"] or parameters["reverse"]):
        return list(SCENARIOS)
    return list(dict.fromkeys(asked))


def declared(name: str) -> dict[str, str]:
    scenario = asdict(SCENARIOS[name])
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in scenario.items()}


def compute(inputs: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """The result from its exact inputs, and from nothing else: computed again it is the same to the bit."""
    book = _stress_book(inputs, matrix)
    window = _window(inputs, matrix)
    warnings = [] if book.total > 0 else [_NO_PERCENTAGE.format(total=book.total)]
    rows = historical_rows(book, inputs, matrix, warnings) + shock_rows(book, inputs, window, warnings)
    reverse = reverse_row(book, inputs["reverse"], window, warnings) if inputs["reverse"] and window else None
    worst = min(rows, key=lambda row: row["pnl"], default=None)
    return {
        **{name: inputs[name] for name in ("portfolio_id", "as_of")},
        "portfolio_value": book.total,
        **{name: inputs[name] for name in ("currency", "benchmark")},
        "scenarios": rows,
        "worst": worst["name"] if worst else None,
        "reverse": reverse,
        "snapshot_id": snapshot_id(KIND, inputs),
        "warnings": [*(window.book.warnings if window else ()), *staleness(inputs, matrix), *warnings],
    }


def _stress_book(inputs: dict[str, Any], matrix: PriceMatrix) -> StressBook:
    book = book_of(inputs)
    if strangers := sorted(inputs["proxy"].keys() - set(book.symbols)):
        raise ProxyError(
            f"proxy names {', '.join(strangers)}, which {book.portfolio_id} does not hold.",
            f"Name one of {', '.join(book.symbols)}.",
            "proxy",
        )
    values, total = value_book(book, date.fromisoformat(inputs["as_of"]), matrix)
    sectors = tuple(inputs["sectors"].get(symbol, "") for symbol in book.symbols)
    return StressBook(book.symbols, values, total, sectors, book.benchmark)


def _window(inputs: dict[str, Any], matrix: PriceMatrix) -> StressWindow | None:
    """The past behind betas and covariances; a book that needs neither may be younger than it."""
    needed = inputs["reverse"] or any(shock["benchmark"] is not None for shock in inputs["shocks"])
    return window_of(inputs, matrix) if needed else None
