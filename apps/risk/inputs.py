"""The exact inputs of a risk figure: everything that it depends on, so that it can be made again to the bit."""

from datetime import date
from decimal import Decimal
from typing import Any

from apps.portfolios.matrix import PriceMatrix
from apps.portfolios.models import Portfolio
from apps.portfolios.prices import current_price_version
from apps.risk.books import Book, MissingPrices, book_at, current_book, latest_common_date, price_book
from apps.risk.methods import PricedBook
from apps.tasks.models import Task
from apps.tasks.submission import submit_task


def submit_risk(kind: str, portfolio: Portfolio, parameters: dict[str, Any], user: Any) -> Task:
    """A task about one book; while one of the same inputs, ledger and prices runs, it is shared."""
    version = f"{portfolio.ledger_version}/{current_price_version()}/{portfolio.benchmark_id}"
    return submit_task(kind, parameters, user=user, portfolio_id=portfolio.id, data_version=version)


def exact_inputs(portfolio_id: str, parameters: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """The book and the parameters in canonical form: what `snapshot_id` is a hash of.

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


def book_of(inputs: dict[str, Any]) -> Book:
    return Book(
        inputs["portfolio_id"],
        inputs["currency"],
        inputs["benchmark"],
        inputs["ledger_version"],
        Decimal(inputs["cash"]),
        tuple((symbol, Decimal(quantity)) for symbol, quantity in inputs["positions"]),
    )


def priced_book_of(inputs: dict[str, Any], matrix: PriceMatrix) -> PricedBook:
    """The book at `as_of` with its window of returns; raises what price_book raises."""
    missing = MissingPrices(inputs.get("proxy") or {}, inputs.get("missing", "error"))
    return price_book(book_of(inputs), date.fromisoformat(inputs["as_of"]), inputs["window_days"], matrix, missing)


def staleness(inputs: dict[str, Any], matrix: PriceMatrix) -> list[str]:
    """What to say where the book could not be valued at the newest prices there are."""
    symbols = [symbol for symbol, _ in inputs["positions"]]
    newest = str(matrix.dates[matrix.trading_days(symbols, inputs["benchmark"])[-1]])
    return [] if inputs["as_of_asked"] else valued_before(inputs["as_of"], newest)


def valued_before(as_of: str, newest: str) -> list[str]:
    """What to say of a book that is valued at `as_of` where its calendar goes on to `newest`."""
    if as_of >= newest:
        return []
    return [f"valued at {as_of}, the latest day on which all that is held has a price; prices run to {newest}"]
