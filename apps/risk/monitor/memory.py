"""What a process remembers from its last runs, so that a run over books that did not change computes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from apps.portfolios.matrix import load_matrix
from apps.risk.figures import Past
from apps.risk.limit_kinds import LIMIT_KINDS, BookKind
from apps.risk.monitor.books import HeldBooks
from apps.risk.monitor.measures import INTERNAL_ERROR, BookMeasures, measure_books, state_of
from apps.risk.monitor.moment import BookVersion, LimitState, Moment
from apps.risk.past import days_of, read_pasts


class PastState(NamedTuple):
    """Everything that a book's past depends on."""

    book: BookVersion
    history: tuple[int, int]
    as_of: date


@dataclass
class Memory:
    held: HeldBooks = field(default_factory=HeldBooks)
    books: dict[str, BookMeasures] = field(default_factory=dict)
    pasts: dict[str, tuple[PastState, Past]] = field(default_factory=dict)

    def measure(self, moment: Moment) -> list[BookMeasures]:
        """The books that are not known in their present state; `keep` them once they are stored."""
        changed = [
            head
            for each, head in moment.heads.items()
            if each not in self.books or self.books[each].state != state_of(head, moment)
        ]
        return list(measure_books(moment, changed, self.held))

    def keep(self, books: Mapping[str, BookMeasures]) -> None:
        """All open books. One that failed for a reason that nobody foresaw is tried again at each run."""
        self.books = {
            each: replace(book, record=None) if book.record else book
            for each, book in books.items()
            if INTERNAL_ERROR not in (book.no_value, book.no_tail)
        }
        self.pasts = {each: past for each, past in self.pasts.items() if each in books}
        self.held.keep_only(books)

    def pasts_of(self, moment: Moment, books: Mapping[str, BookMeasures]) -> dict[str, Past]:
        """Of the portfolios that have a limit on what was lost."""
        concerned = [each for each, limits in moment.limits.items() if any(map(_is_about_losses, limits))]
        states = {
            each: PastState(head.book, head.history, as_of)
            for each in concerned
            if (head := moment.heads.get(each)) and (as_of := books[each].as_of)
        }
        unknown = {each: state for each, state in states.items() if self.pasts.get(each, (None,))[0] != state}
        self._read(unknown, moment, books)
        return {each: self.pasts[each][1] for each in states}

    def _read(self, unknown: Mapping[str, PastState], moment: Moment, books: Mapping[str, BookMeasures]) -> None:
        if not unknown:
            return
        matrix = load_matrix(moment.price_version)
        days = {
            each: days_of(books[each].symbols, state.book.benchmark, state.as_of, matrix)
            for each, state in unknown.items()
        }
        self.pasts |= {each: (unknown[each], past) for each, past in read_pasts(days).items()}


def _is_about_losses(limit: LimitState) -> bool:
    kind = LIMIT_KINDS[limit.kind]
    return limit.in_force and isinstance(kind, BookKind) and kind.stops_trading
