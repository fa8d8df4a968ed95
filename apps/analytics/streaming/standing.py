"""Which updates are still to be sent: what was touched since its last one, book by book."""

from collections.abc import Iterable

import numpy as np

from apps.analytics.kernels.live import BoolArray, IntArray, touched_books
from apps.analytics.streaming.groups import Desk, Group, Unvalued
from apps.analytics.streaming.known_quotes import KnownQuotes
from apps.analytics.streaming.step import Prices, prices_of
from apps.risk.windows import Rows

_NEVER = -1


class Part:
    """A part of the desk; (books,) each: `pending` has an update to send, which is its first where it has `begun`.

    `published`: the revision of the book that was last published.
    """

    def __init__(self, books: Group | Unvalued) -> None:
        size = len(books.ids)
        self.books = books
        self.pending: BoolArray = np.zeros(size, np.bool_)
        self.begun: BoolArray = np.zeros(size, np.bool_)
        self.published: IntArray = np.full(size, _NEVER)
        self._places = np.empty(0, np.intp)
        self._places_of: tuple[KnownQuotes | None, int] = (None, -1)

    def prices(self, known: KnownQuotes) -> Prices:
        assert isinstance(self.books, Group)
        return prices_of(self.books, known, self._places_among(known))

    def touch_changed(self, known: KnownQuotes) -> None:
        """What holds a symbol whose quote changed; a quote that is older than the close changes nothing."""
        if not isinstance(self.books, Group) or not known.changed.any():
            return
        places = self._places_among(known)
        changed = known.changed[places] & (places >= 0) & self.prices(known).counts
        if changed.any():
            self.pending |= touched_books(self.books.held, changed)

    def due(self, owned: BoolArray) -> Rows:
        """The rows to be sent, of the shards that are owned, (shards,)."""
        return np.flatnonzero(self.pending & owned[self.books.shards])

    def settle(self, rows: Rows) -> None:
        self.pending[rows] = self.begun[rows] = False
        self.published[rows] = self.books.revisions[rows]

    def _places_among(self, known: KnownQuotes) -> Rows:
        assert isinstance(self.books, Group)
        if self._places_of != (known, len(known.places)):
            self._places = known.places_of(self.books.symbols)
            self._places_of = (known, len(known.places))
        return self._places


class Standing:
    """All parts of the desk; what is still to be sent survives a new desk."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._desk: Desk | None = None

    def take(self, desk: Desk | None) -> None:
        """Books that are new, or other ones than were published, are to be sent; a new one has no gap behind it."""
        if desk is None or desk is self._desk:
            return
        known = {
            portfolio_id: row
            for part in self.parts
            for portfolio_id, *row in zip(
                part.books.ids, part.pending.tolist(), part.begun.tolist(), part.published.tolist(), strict=True
            )
        }
        self.parts = [_part(books, known) for books in desk.parts]
        self._desk = desk

    def touch_shards(self, shards: Iterable[int]) -> None:
        """Every book of these shards, as the first update that it has here."""
        asked = list(shards)
        for part in self.parts:
            begun = np.isin(part.books.shards, asked)
            part.begun |= begun
            part.pending |= begun

    def touch_all(self) -> None:
        for part in self.parts:
            part.pending[:] = True

    def count(self, owned: BoolArray) -> int:
        return sum(int(owned[part.books.shards].sum()) for part in self.parts)


def _part(books: Group | Unvalued, known: dict[str, list]) -> Part:
    part = Part(books)
    rows = [known.get(portfolio_id, (False, False, _NEVER)) for portfolio_id in books.ids]
    pending, begun, published = (np.array(column) for column in zip(*rows, strict=True))
    part.published = published.astype(np.int64)
    part.begun = begun.astype(np.bool_)
    part.pending = pending.astype(np.bool_) | (part.published != books.revisions)
    return part
