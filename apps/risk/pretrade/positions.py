"""A book's positions with their P&L vector, kept by this process as long as neither ledger nor prices change."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import FloatArray, load_matrix
from apps.risk.books import latest_common_date, refuse_foreign
from apps.risk.errors import InsufficientHistoryError
from apps.risk.figures import BookFigures, NotMeasurableError, Past
from apps.risk.kernels.historical import scenario_pnl
from apps.risk.kernels.incremental import TailFigures, projected_pnl, tail_figures
from apps.risk.many_books import HeldBook, read_books
from apps.risk.past import Days, days_of
from apps.risk.pretrade.orders import Leg
from apps.risk.windows import Rows, Windows

KEPT_BOOKS = 1_024
# Of those with valued_on, each of which holds the matrix and windows of a day of its own: a replay asks for a day a few
# times, and never again.
KEPT_DATED_BOOKS = 8

_NOTHING = TailFigures(0.0, 0.0, 0.0)


class BookMovedError(Exception):
    """The book was booked on between two reads: read both again."""


@dataclass
class Positions:
    """What is held at its closes of `as_of`, and 0 of the symbols that orders and reservations name.

    `window` has the rows of the price matrix behind the P&L; None where a return is missing, as `no_tail` says.
    `last_days` has the day of each close that is older than `as_of`, by symbol.
    """

    book: HeldBook
    windows: Windows
    columns: Rows
    closes: FloatArray
    as_of: date
    newest: date
    window: Rows | None
    no_tail: str = ""
    last_days: dict[str, date] = field(default_factory=dict)
    _figures: tuple[object, BookFigures | None] = (None, None)

    @cached_property
    def places(self) -> dict[str, int]:
        return {symbol: place for place, symbol in enumerate(self.book.symbols)}

    @cached_property
    def values(self) -> FloatArray:
        return self.book.quantities * self.closes

    @cached_property
    def days(self) -> Days:
        return days_of(self.book.symbols, self.book.benchmark, self.as_of, self.windows.matrix)

    @cached_property
    def pnl(self) -> FloatArray:
        """(days,): today's book through each day of the window. Raises NotMeasurableError."""
        prices = self.windows.matrix.prices[np.ix_(self._rows, self.columns)]
        return scenario_pnl(simple_returns(prices), self.values)

    @cached_property
    def tail(self) -> TailFigures:
        return tail_figures(self.pnl) if self.values.any() else _NOTHING

    @property
    def _rows(self) -> Rows:
        if self.window is None:
            raise NotMeasurableError(self.no_tail)
        return self.window

    @cached_property
    def _returns(self) -> dict[int, FloatArray]:
        return {}

    def returns(self, place: int) -> FloatArray:
        if place not in self._returns:
            prices = self.windows.matrix.prices[self._rows, self.columns[place]]
            self._returns[place] = simple_returns(prices[:, np.newaxis])[:, 0]
        return self._returns[place]

    def held(self, symbol: str) -> float:
        return float(self.book.quantities[self.places[symbol]])

    def cost(self, leg: Leg) -> float:
        """What a leg takes out of the cash: at its price or at the close, whichever is the worse for us.

        A price that only the order names must not make money: bought below the close, sold above it.
        """
        return max(leg.quantity * leg.price, leg.quantity * float(self.closes[self.places[leg.symbol]]))

    def figures(self, cash: float, legs: Iterable[Leg], find_past: Callable[[], Past]) -> BookFigures:
        """The book after these legs, valued at the closes; what they cost is paid from the cash."""
        changes: dict[int, float] = {}
        for leg in legs:
            place = self.places[leg.symbol]
            changes[place] = changes.get(place, 0.0) + leg.quantity
            cash -= self.cost(leg)
        if not changes:
            return self._unchanged(cash, find_past)
        values = self.values.copy()
        for place, quantity in changes.items():
            values[place] = (self.book.quantities[place] + quantity) * self.closes[place]
        return BookFigures(self.places, values, cash, lambda: self._tail_after(changes, values), find_past)

    def _unchanged(self, cash: float, find_past: Callable[[], Past]) -> BookFigures:
        """Kept for the next check, which begins with the same book: `find_past` names the state of its history."""
        key = (cash, getattr(find_past, "args", find_past))
        known, figures = self._figures
        if figures is None or known != key:
            figures = BookFigures(self.places, self.values, cash, lambda: self.tail, find_past)
            self._figures = (key, figures)
        return figures

    def _tail_after(self, changes: dict[int, float], values: FloatArray) -> TailFigures:
        if not values.any():
            return _NOTHING
        if self.window is None:
            return self._tail_without_the_sold(changes)
        pnl = self.pnl
        for place, quantity in changes.items():
            pnl = projected_pnl(pnl, self.returns(place), quantity * float(self.closes[place]))
        return tail_figures(pnl)

    def _tail_without_the_sold(self, changes: dict[int, float]) -> TailFigures:
        """The trade may sell just what lacks the returns: what is left has a window then."""
        quantities = self.book.quantities.copy()
        for place, quantity in changes.items():
            quantities[place] += quantity
        left = np.flatnonzero(quantities)
        symbols = tuple(self.book.symbols[place] for place in left)
        return self._tail_of(replace(self.book, symbols=symbols, quantities=quantities[left]))

    def _tail_of(self, left: HeldBook) -> TailFigures:
        try:
            placed = place_book(left, self.windows)
        except InsufficientHistoryError as error:
            raise NotMeasurableError(error.detail) from error
        if placed.as_of < self.as_of:
            raise NotMeasurableError(self.no_tail)
        return placed.tail


_kept: OrderedDict[tuple["BookState", tuple[str, ...]], Positions] = OrderedDict()
_keeping = threading.Lock()


class BookState(NamedTuple):
    """Everything that a book depends on: equal states are equal books. `valued_on` None is the newest close.

    `at_last_closes`: each symbol at its own latest close, rather than all at those of the latest day they have in
    common.
    """

    portfolio_id: str
    benchmark: str | None
    ledger_version: int
    price_version: int
    window_days: int
    valued_on: date | None = None
    at_last_closes: bool = False


def load_positions(state: BookState, symbols: Iterable[str]) -> Positions:
    """The book in this state, with room for the symbols.

    Raises BookMovedError, InsufficientHistoryError where there is no day on which all have a price,
    CurrencyMismatchError, NoPricesError.
    """
    key = (state, tuple(sorted(set(symbols))))
    with _keeping:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    positions = _read_positions(*key)
    with _keeping:
        _kept[key] = positions
        for old in [each for each in _kept if each[0].price_version < state.price_version]:
            del _kept[old]  # with it the matrix of a price version that nobody asks for any more
        _drop_oldest([each for each in _kept if each[0].valued_on is not None], KEPT_DATED_BOOKS)
        _drop_oldest(list(_kept), KEPT_BOOKS)
    return positions


def _drop_oldest(keys: list[tuple["BookState", tuple[str, ...]]], most: int) -> None:
    for key in keys[: max(0, len(keys) - most)]:
        del _kept[key]


def _read_positions(state: BookState, named: tuple[str, ...]) -> Positions:
    (book,) = read_books([state.portfolio_id])
    if (book.ledger_version, book.benchmark) != (state.ledger_version, state.benchmark):
        raise BookMovedError
    refuse_foreign(book.portfolio_id, book.currency, book.foreign)
    place = place_at_last_closes if state.at_last_closes else place_book
    return place(_with_room(book, named), _windows(state.price_version, state.window_days, state.valued_on))


def _with_room(book: HeldBook, named: tuple[str, ...]) -> HeldBook:
    """The book with 0 of each named symbol that it does not hold, in the order of the symbols."""
    more = [symbol for symbol in named if symbol not in set(book.symbols)]
    symbols = np.array([*book.symbols, *more])
    quantities = np.concatenate([book.quantities, np.zeros(len(more))])
    order = np.argsort(symbols, kind="stable")
    return replace(book, symbols=tuple(symbols[order].tolist()), quantities=quantities[order])


def place_book(book: HeldBook, windows: Windows) -> Positions:
    """The book on its window (windows.py), or without one at the latest day on which all of it has a close."""
    if not book.symbols:
        nothing = np.empty(0)
        today = windows.matrix.dates[-1].item()
        return Positions(book, windows, nothing.astype(np.intp), nothing, today, today, None, "nothing is held")
    columns = windows.columns(book.symbols)
    try:
        window = windows.of(book)
    except InsufficientHistoryError as error:
        return _without_window(book, windows, columns, error.detail)
    closes = windows.matrix.prices[window.rows[-1], columns]
    return Positions(book, windows, columns, closes, window.as_of, window.newest, window.rows)


def _without_window(book: HeldBook, windows: Windows, columns: Rows, why: str) -> Positions:
    matrix = windows.matrix
    as_of = latest_common_date(book.symbols, book.benchmark, matrix)
    newest = matrix.dates[matrix.trading_days(book.symbols, book.benchmark)[-1]].item()
    closes = matrix.row(as_of)[columns]
    return Positions(book, windows, columns, closes, as_of, newest, None, why)


def place_at_last_closes(book: HeldBook, windows: Windows) -> Positions:
    """The book at each symbol's own latest close, without a window: no day is one of all of its returns.

    Raises InsufficientHistoryError for a symbol without any.
    """
    if not book.symbols:
        return place_book(book, windows)
    columns = windows.columns(book.symbols)
    latest = [windows.latest_close(symbol) for symbol in book.symbols]
    never = [symbol for symbol, found in zip(book.symbols, latest, strict=True) if found is None]
    if never:
        raise InsufficientHistoryError(f"{', '.join(never)} has no price yet.", f"Import prices of {', '.join(never)}.")
    known = [found for found in latest if found is not None]
    as_of = max(day for day, _ in known)
    older = {symbol: day for symbol, (day, _) in zip(book.symbols, known, strict=True) if day < as_of}
    why = f"on {as_of} there is no close of {', '.join(older)}"
    closes = np.array([close for _, close in known])
    return Positions(book, windows, columns, closes, as_of, as_of, None, why, older)


@lru_cache(maxsize=2)
def _windows(price_version: int, window_days: int, valued_on: date | None) -> Windows:
    matrix = load_matrix(price_version)
    return Windows(matrix if valued_on is None else matrix.until(valued_on), window_days)
