"""Books measured for their limits: exposures at the closes, VaR and expected shortfall of all that changed at once."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError

from apps.portfolios.matrix import FloatArray, PriceMatrix, load_matrix
from apps.risk.batches import analyze_books
from apps.risk.books import refuse_foreign
from apps.risk.figures import BookFigures, NotMeasurableError, Past
from apps.risk.kernels.incremental import TailFigures
from apps.risk.many_books import HeldBook
from apps.risk.monitor.books import HeldBooks
from apps.risk.monitor.moment import BookVersion, Head, Moment
from apps.risk.pretrade.positions import place_book
from apps.risk.windows import Windows
from nautilus.api.errors import DomainError

CONFIDENCES = [0.95, 0.975, 0.99]
INTERNAL_ERROR = "internal error"
NO_PRICES = "no prices have been imported yet"
NO_RISK = TailFigures(0.0, 0.0, 0.0)

logger = logging.getLogger(__name__)


class BookState(NamedTuple):
    """Everything that the measures of a book depend on: equal states have equal measures."""

    book: BookVersion
    price_version: int
    window_days: int


class Record(NamedTuple):
    """A result of analyze_books with its exact inputs, as they are stored."""

    inputs: dict[str, Any]
    result: dict[str, Any]

    @property
    def figures(self) -> TailFigures:
        at_95, at_975, at_99 = self.result["figures"]
        return TailFigures(at_95["var"], at_99["var"], at_975["expected_shortfall"])


@dataclass(frozen=True, slots=True)
class BookMeasures:
    """A book at its closes of `as_of`. `no_value` says why nothing of it is known, `no_tail` why its VaR is not.

    `record`: what is to be stored of it, until it is.
    """

    portfolio_id: str
    state: BookState
    as_of: date | None = None
    symbols: tuple[str, ...] = ()
    values: FloatArray = field(default_factory=lambda: np.empty(0))
    cash: float = 0.0
    tail: TailFigures | None = None
    no_tail: str = ""
    no_value: str = ""
    record: Record | None = None

    def figures(self, find_past: Callable[[], Past]) -> BookFigures:
        """Raises NotMeasurableError."""
        if self.no_value:
            raise NotMeasurableError(self.no_value)
        places = {symbol: place for place, symbol in enumerate(self.symbols)}
        return BookFigures(places, self.values, self.cash, self._find_tail, find_past)

    def _find_tail(self) -> TailFigures:
        if self.tail is None:
            raise NotMeasurableError(self.no_tail)
        return self.tail


def state_of(head: Head, moment: Moment) -> BookState:
    return BookState(head.book, moment.price_version, settings.LIMIT_WINDOW_DAYS)


def measure_books(moment: Moment, heads: Sequence[Head], held: HeldBooks) -> Iterator[BookMeasures]:
    """In chunks, so that no more than what is kept of them grows with their number."""
    if not moment.price_version:
        yield from (BookMeasures(head.portfolio_id, state_of(head, moment), no_value=NO_PRICES) for head in heads)
        return
    windows = Windows(load_matrix(moment.price_version), settings.LIMIT_WINDOW_DAYS)
    size = settings.RISK_CHUNK_PORTFOLIOS
    for start in range(0, len(heads), size):
        yield from _chunk(moment, held.books_of(heads[start : start + size]), windows)


def _chunk(moment: Moment, books: Sequence[HeldBook], windows: Windows) -> Iterator[BookMeasures]:
    tails = _tails([book for book in books if book.symbols], windows.matrix)
    for book in books:
        state, tail = state_of(moment.heads[book.portfolio_id], moment), tails.get(book.portfolio_id, "")
        if isinstance(tail, Record):
            known = _at_closes(book, state, windows, date.fromisoformat(tail.result["as_of"]))
            yield replace(known, tail=tail.figures, record=tail)
        else:
            yield _without_tail(book, state, windows, tail)


def _without_tail(book: HeldBook, state: BookState, windows: Windows, why: str) -> BookMeasures:
    """A book of cash alone has no risk; one that has no window, or a fault, has its exposures where it has closes."""
    try:
        refuse_foreign(book.portfolio_id, book.currency, book.foreign)
        as_of = place_book(book, windows).as_of
    except DomainError as error:
        return BookMeasures(book.portfolio_id, state, no_value=error.detail)
    except Exception:
        logger.exception("%s could not be valued", book.portfolio_id)
        return BookMeasures(book.portfolio_id, state, no_value=INTERNAL_ERROR)
    known = _at_closes(book, state, windows, as_of)
    return replace(known, no_tail=why) if book.symbols else replace(known, tail=NO_RISK)


def _at_closes(book: HeldBook, state: BookState, windows: Windows, as_of: date) -> BookMeasures:
    closes = windows.matrix.row(as_of)[windows.columns(book.symbols)]
    return BookMeasures(
        portfolio_id=book.portfolio_id,
        state=state,
        as_of=as_of,
        symbols=book.symbols,
        values=book.quantities * closes,
        cash=float(book.cash),
    )


def _tails(books: Sequence[HeldBook], matrix: PriceMatrix) -> dict[str, Record | str]:
    """By portfolio, its record or why there is none; a book that nobody foresaw takes no other with it."""
    if not books:
        return {}
    try:
        return _tails_at_once(books, matrix)
    except (SoftTimeLimitExceeded, DatabaseError):
        raise
    except Exception:
        if len(books) == 1:
            logger.exception("The VaR of %s could not be computed", books[0].portfolio_id)
            return {books[0].portfolio_id: INTERNAL_ERROR}
    half = len(books) // 2
    return _tails(books[:half], matrix) | _tails(books[half:], matrix)


def _tails_at_once(books: Sequence[HeldBook], matrix: PriceMatrix) -> dict[str, Record | str]:
    parameters = {"window_days": settings.LIMIT_WINDOW_DAYS, "confidences": CONFIDENCES}
    inputs, results, refused = analyze_books(books, parameters, matrix)
    found: dict[str, Record | str] = {one.portfolio_id: one.error.detail for one in refused}
    records = map(Record, inputs, results)
    return found | {record.result["portfolio_id"]: record for record in records}
