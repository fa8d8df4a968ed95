"""A portfolio's value and returns day by day, from its ledger and the closes."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import F, Q

from apps.portfolios.bookings import Bookings, read_bookings
from apps.portfolios.copying import copy_rows
from apps.portfolios.errors import MissingPriceError, NoTradingDayError, NoValueError
from apps.portfolios.kernels.valuation import ValueHistory, time_weighted_returns, value_history
from apps.portfolios.matrix import DateArray, FloatArray, PriceMatrix, load_current_matrix, load_matrix
from apps.portfolios.models import Portfolio, PortfolioData, PortfolioReturn
from apps.portfolios.prices import current_price_version
from nautilus.api.errors import DomainError

logger = logging.getLogger(__name__)

_DATA_COLUMNS = (
    "portfolio_id", "date", "value", "cash", "net_flow", "gross_exposure", "net_exposure", "positions_count",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class History:
    """A portfolio at each day's close, (days,) arrays; `returns` (days - 1,), row t ending on dates[t + 1].

    Its trading days are those on which anything that it ever held, or its benchmark, has a price. Day 0 is the first
    of them from the inception on. What is dated between two of them counts from the later. The last day is the latest
    on which everything that is held now has a price.
    """

    dates: DateArray
    values: FloatArray
    cash: FloatArray
    net_flows: FloatArray
    gross: FloatArray
    net: FloatArray
    positions_count: npt.NDArray[np.int64]
    returns: FloatArray


def portfolio_history(portfolio: Portfolio, ledger_version: int, matrix: PriceMatrix, benchmark: str | None) -> History:
    """The history as the ledger stood at `ledger_version`, at the matrix' prices, on the benchmark's days as well.

    Raises MissingPriceError naming symbols and days, NoTradingDayError where no price is of the portfolio's time,
    NoValueError where a day's value is not above zero and a return would have to be a part of it.
    """
    dates, valued = _valued(portfolio, ledger_version, matrix, benchmark)
    unworthy = np.flatnonzero(valued.values[:-1] <= 0)
    if len(unworthy):
        day = unworthy[0]
        raise NoValueError(
            f"{portfolio.id} is worth {valued.values[day]:.2f} on {dates[day]}: the day after has no return.",
            "Returns need a value above zero: pay cash in before that day.",
        )
    return _history(dates, valued, time_weighted_returns(valued.values, valued.net_flows))


def solvent_history(portfolio: Portfolio, ledger_version: int, matrix: PriceMatrix, benchmark: str | None) -> History:
    """As portfolio_history, but a book that loses everything has one, too: it ends on the first day of no value.

    A first day of no value is all of it, and there are no returns. Raises MissingPriceError, NoTradingDayError.
    """
    dates, valued = _valued(portfolio, ledger_version, matrix, benchmark)
    returns = _returns_while_solvent(valued)
    return _history(dates[: len(returns) + 1], _days_of(valued, slice(len(returns) + 1)), returns)


def _history(dates: DateArray, valued: ValueHistory, returns: FloatArray) -> History:
    return History(
        dates,
        valued.values,
        valued.cash,
        valued.net_flows,
        valued.gross_exposure,
        valued.net_exposure,
        valued.positions_count,
        returns,
    )


def _valued(
    portfolio: Portfolio, ledger_version: int, matrix: PriceMatrix, benchmark: str | None
) -> tuple[DateArray, ValueHistory]:
    bookings = read_bookings(portfolio.id, ledger_version)
    rows = matrix.trading_days(bookings.symbols, benchmark)
    days, prices = matrix.dates[rows], matrix.closes(bookings.symbols, rows)
    last = _last_day(bookings, prices)
    first = _first_day(portfolio, days[: last + 1])
    dates = days[first : last + 1]
    valued = _value_days(bookings, dates, prices[first : last + 1], float(portfolio.initial_cash))
    _refuse_gaps(portfolio, bookings, dates, prices[first : last + 1], valued)
    return _from_first_value(dates, valued)


def _first_day(portfolio: Portfolio, days: DateArray) -> int:
    first = int(np.searchsorted(days, np.datetime64(portfolio.inception_date)))
    if first == len(days):
        raise NoTradingDayError(
            f"{portfolio.id} began on {portfolio.inception_date}; its prices end on {days[-1]}.",
            "Import prices of its time.",
        )
    return first


def _last_day(bookings: Bookings, prices: FloatArray) -> int:
    held = [bookings.symbols.index(symbol) for symbol in bookings.held]
    priced = np.flatnonzero(np.isfinite(prices[:, held]).all(axis=1))
    if len(priced):
        return int(priced[-1])
    never = [symbol for symbol, column in zip(bookings.held, held, strict=True) if np.isnan(prices[:, column]).all()]
    without = ", ".join(never or bookings.held)
    raise MissingPriceError(
        f"There is no day on which all that is held has a price; look at {without}.", f"Import prices of {without}."
    )


def _value_days(bookings: Bookings, dates: DateArray, prices: FloatArray, initial_cash: float) -> ValueHistory:
    traded, flowed = np.searchsorted(dates, bookings.traded_on), np.searchsorted(dates, bookings.flowed_on)
    now, paid = traded < len(dates), flowed < len(dates)
    return value_history(
        prices,
        traded[now],
        bookings.column[now],
        bookings.quantity[now],
        bookings.price[now],
        initial_cash,
        flowed[paid],
        bookings.flow[paid],
    )


def _refuse_gaps(
    portfolio: Portfolio, bookings: Bookings, dates: DateArray, prices: FloatArray, valued: ValueHistory
) -> None:
    missing = (valued.quantities != 0) & np.isnan(prices)
    if not missing.any():
        return
    named = [
        _gap(bookings.symbols[column], dates[missing[:, column]]) for column in np.flatnonzero(missing.any(axis=0))[:10]
    ]
    raise MissingPriceError(f"{portfolio.id} held, without a price: {'; '.join(named)}.", "Import the missing prices.")


def _gap(symbol: str, days: DateArray) -> str:
    shown = ", ".join(str(day) for day in days[:3])
    return f"{symbol} on {shown}" + (f" and {len(days) - 3} more days up to {days[-1]}" if len(days) > 3 else "")


def _from_first_value(dates: DateArray, valued: ValueHistory) -> tuple[DateArray, ValueHistory]:
    """Without the days before the first money came in: nothing was there to earn a return."""
    something = np.flatnonzero(valued.values != 0)
    first = int(something[0]) if len(something) else 0
    return dates[first:], _days_of(valued, slice(first, None))


def _days_of(valued: ValueHistory, days: slice) -> ValueHistory:
    names = ("values", "cash", "net_flows", "gross_exposure", "net_exposure", "positions_count", "quantities")
    return ValueHistory(**{name: getattr(valued, name)[days] for name in names})


def store_history(portfolio: Portfolio, matrix: PriceMatrix | None = None) -> bool:
    """Writes `portfolio_data` and `portfolio_returns` anew, where the stored ones are behind the ledger or the prices.

    Returns whether it wrote. Returns end before the first day whose value is not above zero.
    """
    matrix = matrix or load_current_matrix()
    dates, valued = _valued(portfolio, portfolio.ledger_version, matrix, portfolio.benchmark_id)
    history = _history(dates, valued, _returns_while_solvent(valued))
    with transaction.atomic():
        if not _claim(portfolio, matrix.version):
            return False
        _replace(portfolio.id, history)
    return True


def _returns_while_solvent(valued: ValueHistory) -> FloatArray:
    unworthy = np.flatnonzero(valued.values <= 0)
    end = int(unworthy[0]) + 1 if len(unworthy) else len(valued.values)
    return time_weighted_returns(valued.values[:end], valued.net_flows[:end])


def _claim(portfolio: Portfolio, price_version: int) -> bool:
    """Compare-and-set: never from newer to older, and one of two that computed the same writes."""
    ledger_version = portfolio.ledger_version
    not_newer = Q(history_ledger_version__lte=ledger_version, history_price_version__lte=price_version)
    same = Q(history_ledger_version=ledger_version, history_price_version=price_version)
    behind = Portfolio.objects.filter(not_newer & ~same, pk=portfolio.pk)
    return bool(behind.update(history_ledger_version=ledger_version, history_price_version=price_version))


def _replace(portfolio_id: str, history: History) -> None:
    PortfolioData.objects.filter(portfolio_id=portfolio_id).delete()
    PortfolioReturn.objects.filter(portfolio_id=portfolio_id).delete()
    days = history.dates.tolist()
    figures = (history.values, history.cash, history.net_flows, history.gross, history.net, history.positions_count)
    data = zip(days, *(figure.tolist() for figure in figures), strict=True)
    copy_rows("portfolio_data", _DATA_COLUMNS, ((portfolio_id, *row) for row in data))
    returns = zip(days[1:], history.returns.tolist(), strict=False)
    copy_rows("portfolio_returns", ("portfolio_id", "date", "return"), ((portfolio_id, *row) for row in returns))


def refresh_histories() -> int:
    """Brings every open portfolio's stored history up to date; returns how many were written.

    One that fails is logged and does not stop the others; it is tried again at the next call.
    """
    version = current_price_version()
    if not version:
        return 0
    behind = Q(history_ledger_version__lt=F("ledger_version")) | Q(history_price_version__lt=version)
    stale = list(Portfolio.objects.filter(behind, closed_at=None))
    return sum(_refreshed(portfolio, load_matrix(version)) for portfolio in stale)


def refresh_history(portfolio_id: str) -> bool:
    """Of one open portfolio, at once, as refresh_histories does it for all; returns whether it was written."""
    version = current_price_version()
    behind = Q(history_ledger_version__lt=F("ledger_version")) | Q(history_price_version__lt=version)
    portfolio = Portfolio.objects.filter(behind, pk=portfolio_id, closed_at=None).first() if version else None
    return portfolio is not None and _refreshed(portfolio, load_matrix(version))


def _refreshed(portfolio: Portfolio, matrix: PriceMatrix) -> bool:
    try:
        return store_history(portfolio, matrix)
    except NoTradingDayError as error:
        logger.info("No history of %s yet: %s", portfolio.id, error.sentence)
    except DomainError as error:
        logger.warning("No history of %s: %s", portfolio.id, error.sentence)
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        logger.exception("The history of %s could not be made", portfolio.id)
    return False
