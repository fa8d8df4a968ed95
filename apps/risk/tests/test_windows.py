"""Windows found fast are those of an analysis of the book by itself, whatever the calendars look like."""

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import PriceMatrix
from apps.risk.books import Book, latest_common_date, price_book
from apps.risk.errors import InsufficientHistoryError
from apps.risk.many_books import HeldBook
from apps.risk.windows import Windows

SYMBOLS = ("AAA", "BBB", "CCC", "IDX")


def gappy_matrix(random: np.random.Generator, days: int) -> PriceMatrix:
    """Each symbol begins, ends and pauses when it likes."""
    prices = random.uniform(10, 20, (days, len(SYMBOLS)))
    for column in prices.T:
        column[random.random(days) < random.choice([0.0, 0.0, 0.05])] = np.nan
        column[: random.integers(0, 6)] = np.nan
        column[days - random.integers(0, 3) :] = np.nan
    priced = np.isfinite(prices).any(axis=1)
    dates = (np.datetime64("2022-01-03") + np.arange(days))[priced]
    return PriceMatrix(1, dates, SYMBOLS, prices[priced], simple_returns(prices[priced]))


def alone(symbols, benchmark, matrix, window_days):
    """What an analysis takes, or the words in which it refuses."""
    book = Book("BOOK", "USD", benchmark, 1, Decimal(0), tuple((symbol, Decimal(1)) for symbol in symbols))
    try:
        as_of = latest_common_date(symbols, benchmark, matrix)
        return as_of, price_book(book, as_of, window_days, matrix).returns.tolist()
    except InsufficientHistoryError as error:
        return error.detail


def among_many(symbols, benchmark, windows):
    book = HeldBook("BOOK", "USD", benchmark, 1, Decimal(0), symbols, np.ones(len(symbols)))
    try:
        window = windows.of(book)
        return window.as_of, windows.returns(window, windows.columns(symbols)).tolist()
    except InsufficientHistoryError as error:
        return error.detail


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), days=st.integers(12, 40), window_days=st.integers(2, 12))
def test_window_among_many_is_the_books_own(seed, days, window_days):
    random = np.random.default_rng(seed)
    matrix = gappy_matrix(random, days)
    windows = Windows(matrix, window_days)
    for symbols in [("AAA",), ("AAA", "BBB"), ("AAA", "BBB", "CCC")]:
        for benchmark in (None, "IDX", "AAA"):
            expected = alone(symbols, benchmark, matrix, window_days)
            assert among_many(symbols, benchmark, windows) == expected
            assert among_many(symbols, benchmark, windows) == expected  # from what was kept
