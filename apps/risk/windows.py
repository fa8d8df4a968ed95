"""The windows of many books, each found once: books of one calendar and one last day share theirs.

What a window is stands in books.py (`latest_common_date`, `price_book`); here it is only found faster.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import FloatArray, PriceMatrix
from apps.risk.books import latest_common_date, refuse_short_history
from apps.risk.errors import InsufficientHistoryError
from apps.risk.many_books import HeldBook

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Window:
    """`rows` (days + 1,) of the matrix, the last of them `as_of`; `newest` is the calendar's last day.

    `whole` (symbols of the matrix,) says which of them have every close in it.
    """

    rows: Rows
    as_of: date
    newest: date
    whole: npt.NDArray[np.bool_]


class Windows:
    """The windows of `window_days` returns at one price version."""

    def __init__(self, matrix: PriceMatrix, window_days: int) -> None:
        self.matrix = matrix
        self.window_days = window_days
        self._columns = {symbol: column for column, symbol in enumerate(matrix.symbols)}
        self._priced = np.isfinite(matrix.prices)
        # The last row of each symbol with a price; -1 where there is none.
        last = len(matrix.dates) - 1 - self._priced[::-1].argmax(axis=0)
        self._last = np.where(self._priced.any(axis=0), last, -1)
        self._days_of: dict[int, Rows] = {}
        self._calendars: dict[bytes, Rows] = {}
        self._found: dict[tuple[int, int], Window] = {}

    def columns(self, symbols: tuple[str, ...]) -> Rows:
        """Raises InsufficientHistoryError for a symbol that never had a price."""
        never = [symbol for symbol in symbols if symbol not in self._columns]
        if never:
            raise InsufficientHistoryError(
                f"{', '.join(never)} has no price at all.", f"Import prices for {', '.join(never)}."
            )
        return np.array([self._columns[symbol] for symbol in symbols], dtype=np.intp)

    def latest_close(self, symbol: str) -> tuple[date, float] | None:
        """The symbol's own latest close with its day; None for one that never had a price."""
        column = self._columns.get(symbol)
        if column is None or self._last[column] < 0:
            return None
        row = self._last[column]
        return self.matrix.dates[row].item(), float(self.matrix.prices[row, column])

    def of(self, book: HeldBook, as_of: date | None = None) -> Window:
        """The window that ends at `as_of`, or on the latest day on which all of the book has a price.

        Raises InsufficientHistoryError.
        """
        columns = self.columns(book.symbols)
        window = self._find(self._benchmark_days(book, columns), book, columns, as_of)
        if window is None:
            days = self._interned(self.matrix.trading_days(book.symbols, book.benchmark))
            window = self._find(days, book, columns, as_of)
        if window is None or not window.whole[columns].all():
            self._refuse(book, columns, as_of)
        assert window is not None
        return window

    def returns(self, window: Window, columns: Rows) -> FloatArray:
        """(window_days, columns)."""
        return simple_returns(self.matrix.prices[np.ix_(window.rows, columns)])

    def _benchmark_days(self, book: HeldBook, columns: Rows) -> Rows | None:
        """The benchmark's days, which are the book's own where the benchmark goes on as long as the book does."""
        benchmark = self._columns.get(book.benchmark or "")
        if benchmark is None or self._last[columns].max() > self._last[benchmark]:
            return None
        if benchmark not in self._days_of:
            self._days_of[benchmark] = self._interned(np.flatnonzero(self._priced[:, benchmark]))
        return self._days_of[benchmark]

    def _interned(self, days: Rows) -> Rows:
        """One object for equal calendars, so that their books share windows."""
        return self._calendars.setdefault(days.tobytes(), days)

    def _find(self, days: Rows | None, book: HeldBook, columns: Rows, as_of: date | None) -> Window | None:
        """None where these days do not hold a whole window before the day."""
        if days is None:
            return None
        if as_of is None:
            place = self._latest_place(book, columns, days)
        else:
            place = int(np.searchsorted(self.matrix.dates[days], np.datetime64(as_of)))
        return self._window(days, place) if place >= self.window_days else None

    def _refuse(self, book: HeldBook, columns: Rows, as_of: date | None) -> None:
        """Raises InsufficientHistoryError with what each symbol has."""
        days = self.matrix.trading_days(book.symbols, book.benchmark)
        day = as_of or latest_common_date(book.symbols, book.benchmark, self.matrix)
        place = int(np.searchsorted(self.matrix.dates[days], np.datetime64(day)))
        rows = days[max(0, place - self.window_days) : place + 1]
        returns = simple_returns(self.matrix.prices[np.ix_(rows, columns)])
        refuse_short_history(book.symbols, returns, self.window_days)

    def _latest_place(self, book: HeldBook, columns: Rows, days: Rows) -> int:
        if self._priced[days[-1], columns].all():
            return len(days) - 1
        latest = latest_common_date(book.symbols, book.benchmark, self.matrix)
        return int(np.searchsorted(self.matrix.dates[days], np.datetime64(latest)))

    def _window(self, days: Rows, place: int) -> Window:
        key = (id(days), place)
        if key not in self._found:
            rows = days[place - self.window_days : place + 1]
            whole = np.asarray(self._priced[rows].all(axis=0))
            dates = self.matrix.dates
            self._found[key] = Window(rows, dates[days[place]].item(), dates[days[-1]].item(), whole)
        return self._found[key]
