"""All closes and returns as arrays, one set of files a price version, mapped by every process."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from django.conf import settings

from apps.portfolios import matrix_files
from apps.portfolios.copying import copy_query
from apps.portfolios.errors import MissingPriceError, NoPricesError, UnknownPriceVersionError
from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.models import PriceVersion
from nautilus.postgresql.limits import allowed_seconds

FloatArray = npt.NDArray[np.float64]
DateArray = npt.NDArray[np.datetime64]

KEPT_IN_PROCESS = 2

_QUERY = (Path(__file__).parent / "sql" / "matrix.sql").read_text()
_ROW_TYPES = {"symbol": pa.string(), "date": pa.date32(), "close": pa.float64()}

_loaded: OrderedDict[str, "PriceMatrix"] = OrderedDict()
_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class PriceMatrix:
    """The closes of one price version; arrays are read-only and shared by all processes of the machine.

    `dates` (days,) datetime64[D], every day on which any symbol has a price; `symbols` sorted; `prices` (days, symbols)
    in each instrument's currency, NaN where there is none; `returns` (days - 1, symbols) simple close to close, in
    Fortran order, row t ending on dates[t + 1], NaN where either close is missing. `origin` tells this version from one
    of the same number in another database.
    """

    version: int
    dates: DateArray
    symbols: tuple[str, ...]
    prices: FloatArray
    returns: FloatArray
    origin: str = ""

    def column(self, symbol: str) -> FloatArray:
        """The symbol's closes, (days,). Raises MissingPriceError for one that has never had a price."""
        column = int(np.searchsorted(self.symbols, symbol)) if self.symbols else 0
        if column == len(self.symbols) or self.symbols[column] != symbol:
            raise MissingPriceError(
                f"{symbol} has no price at price version {self.version}.", f"Import prices of {symbol}."
            )
        return self.prices[:, column]

    def trading_days(self, symbols: Sequence[str], benchmark: str | None) -> npt.NDArray[np.intp]:
        """The rows of a book's trading days.

        From the benchmark's first price to its last these are its days: a stray price of one symbol on a Sunday is no
        day of the book, and a day that only the book lacks is seen. Elsewhere, and without a benchmark, the days on
        which any of the symbols has a price; what others do, on another exchange's calendar, is nothing to it.
        """
        columns = self._columns([*symbols, *([benchmark] if benchmark else [])])
        if not (columns >= 0).any():
            return np.arange(len(self.dates))
        is_open = np.asarray(np.isfinite(self.prices[:, columns[columns >= 0]]).any(axis=1))
        if benchmark and columns[-1] >= 0:
            marked = np.isfinite(self.prices[:, columns[-1]])
            days = np.flatnonzero(marked)
            span = slice(days[0], days[-1] + 1) if len(days) else slice(0)  # none yet, on an early day (until)
            is_open[span] = marked[span]
        return np.flatnonzero(is_open)

    def closes(self, symbols: Sequence[str], rows: npt.NDArray[np.intp]) -> FloatArray:
        """The symbols' closes on the days of these rows, (rows, symbols); a column of NaN where there never was one."""
        columns = self._columns(symbols)
        closes = self.prices[np.ix_(rows, columns)]
        closes[:, columns < 0] = np.nan
        return closes

    def _columns(self, symbols: Sequence[str]) -> npt.NDArray[np.intp]:
        """Each symbol's column, -1 for one that never had a price."""
        columns = {symbol: column for column, symbol in enumerate(self.symbols)}
        return np.array([columns.get(symbol, -1) for symbol in symbols], dtype=np.intp)

    def until(self, day: date) -> "PriceMatrix":
        """As it was known at that day's close: no later row. Raises NoPricesError where there is none up to it."""
        rows = int(np.searchsorted(self.dates, np.datetime64(day), side="right"))
        if rows == 0:
            raise NoPricesError
        return replace(
            self,
            dates=self.dates[:rows],
            prices=self.prices[:rows],
            returns=self.returns[: rows - 1],
            origin=f"{self.origin} until {day}",
        )

    def row(self, day: date) -> FloatArray:
        """The closes of a day, (symbols,). Raises MissingPriceError for a day without any."""
        row = int(np.searchsorted(self.dates, np.datetime64(day)))
        if row == len(self.dates) or self.dates[row] != np.datetime64(day):
            raise MissingPriceError(
                f"No symbol has a price on {day}.", f"Days run from {self.dates[0]} to {self.dates[-1]}."
            )
        return self.prices[row]


def load_matrix(version: int) -> PriceMatrix:
    """The matrix of a price version: from this process, from the machine's files, or built from the database.

    An old version is built again with the same bits, as prices are only ever added to.
    Raises NoPricesError for version 0, UnknownPriceVersionError for one that never was.
    """
    if version == 0:
        raise NoPricesError
    row = PriceVersion.objects.filter(pk=version).first()
    if row is None:
        raise UnknownPriceVersionError(f"There is no price version {version}.", "It is of another database, perhaps.")
    return _matrix_of(row)


def load_current_matrix() -> PriceMatrix:
    """The matrix of the newest price version. Raises NoPricesError where there is none yet."""
    row = PriceVersion.objects.first()
    if row is None:
        raise NoPricesError
    return _matrix_of(row)


def _matrix_of(row: PriceVersion) -> PriceMatrix:
    # Tells this version from one of the same number in another database that used the same folder.
    origin = f"{row.id} {row.created_at.isoformat()} {row.rows_changed} {row.source}"
    with _loading:
        if origin not in _loaded:
            _loaded[origin] = _mapped(row.id, origin)
        _loaded.move_to_end(origin)
        while len(_loaded) > KEPT_IN_PROCESS:
            _loaded.popitem(last=False)
        return _loaded[origin]


def _mapped(version: int, origin: str) -> PriceMatrix:
    arrays = matrix_files.map_or_build(version, origin, lambda: _build(version))
    return PriceMatrix(version, arrays.dates, arrays.symbols, arrays.prices, arrays.returns, origin)


def _build(version: int) -> matrix_files.Arrays:
    with allowed_seconds(settings.TASK_TIME_LIMIT_SECONDS):  # who may write so many must be able to read them
        rows = copy_query(_QUERY.format(version=int(version)), _ROW_TYPES)
    dates, row = np.unique(rows["date"].to_numpy(), return_inverse=True)
    encoded = rows["symbol"].combine_chunks().dictionary_encode()
    symbols = sorted(encoded.dictionary.to_pylist())
    column = np.searchsorted(symbols, encoded.dictionary.to_pylist())[encoded.indices.to_numpy()]
    prices = np.full((len(dates), len(symbols)), np.nan)
    prices[row, column] = rows["close"].to_numpy()
    return matrix_files.Arrays(dates.astype("datetime64[D]"), tuple(symbols), prices, simple_returns(prices))
