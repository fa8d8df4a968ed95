"""One book on its prices: its columns in the price matrix, the window behind its VaR, and where it comes from."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from apps.portfolios.matrix import PriceMatrix
from apps.risk.books import refuse_foreign
from apps.risk.figures import Past
from apps.risk.many_books import HeldBook
from apps.risk.monitor.measures import INTERNAL_ERROR, NO_PRICES
from apps.risk.past import Days, days_of, read_pasts
from apps.risk.pretrade.positions import Positions, place_book
from apps.risk.windows import Windows
from nautilus.api.errors import DomainError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pasts:
    """Where a book comes from at its closes alone, and on a later day, when those closes are the ones before."""

    at_closes: Past
    live: Past


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A book with its positions at the closes, or `no_value`: why it has none."""

    book: HeldBook
    positions: Positions | None
    no_value: str = ""

    @property
    def as_of(self) -> date | None:
        return self.positions.as_of if self.positions else None

    @property
    def no_tail(self) -> str:
        """Why its VaR is not known; a book that holds nothing has one, of 0."""
        return self.positions.no_tail if self.positions and self.book.symbols else ""


def place(book: HeldBook, windows: Windows | None) -> Placed:
    """What stands in the way of one book stops no other."""
    if windows is None:
        return Placed(book, None, NO_PRICES)
    try:
        refuse_foreign(book.portfolio_id, book.currency, book.foreign)
        return Placed(book, place_book(book, windows))
    except DomainError as error:
        return Placed(book, None, error.detail)
    except Exception:
        logger.exception("%s could not be valued", book.portfolio_id)
        return Placed(book, None, INTERNAL_ERROR)


def read_both_pasts(placed: Mapping[str, Placed], matrix: PriceMatrix) -> dict[str, Pasts]:
    """In two statements, however many books; in the transaction that read them."""
    at_closes = {each: _days(one, matrix) for each, one in placed.items() if one.positions}
    live = {each: Days(days.as_of + timedelta(days=1), days.as_of) for each, days in at_closes.items()}
    if not at_closes:
        return {}
    before, since = read_pasts(at_closes), read_pasts(live)
    return {each: Pasts(before[each], since[each]) for each in at_closes}


def _days(placed: Placed, matrix: PriceMatrix) -> Days:
    """A window's rows are the book's trading days: the last but one is the day before."""
    positions, book = placed.positions, placed.book
    assert positions is not None
    if positions.window is not None:
        return Days(positions.as_of, matrix.dates[positions.window[-2]].item())
    return days_of(book.symbols, book.benchmark, positions.as_of, matrix)
