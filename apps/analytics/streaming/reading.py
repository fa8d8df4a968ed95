"""The books that an engine knows: all open ones, so that it can take over any of them without the database.

They are read by a thread of their own: a database that is slow or away stops no figure, and the figures say how old the
books are.
"""

import logging
import threading
import time
from collections.abc import Mapping
from itertools import count
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from apps.analytics.streaming.groups import Desk, Member, make_desk
from apps.analytics.streaming.placing import Pasts, Placed, place, read_both_pasts
from apps.portfolios.matrix import load_matrix
from apps.portfolios.prices import current_price_version
from apps.risk.monitor.books import HeldBooks
from apps.risk.monitor.memory import PastState
from apps.risk.monitor.moment import BookVersion, Head, one_moment, read_heads
from apps.risk.windows import Windows

READ_SECONDS = 1.0
STOP_SECONDS = 2.0

logger = logging.getLogger(__name__)

# Over all that this process ever reads: no two states of a book have one number.
_revisions = count(1)


class PlacedState(NamedTuple):
    """Everything that the place of a book among its prices depends on."""

    book: BookVersion
    price_version: int
    window_days: int


class Books:
    """What was read last; only that is read again whose version says that it is another one now."""

    def __init__(self) -> None:
        self._held = HeldBooks()
        self._windows: Windows | None = None
        self._placed: dict[str, tuple[PlacedState, Placed]] = {}
        self._pasts: dict[str, tuple[PastState, Pasts]] = {}
        self._members: dict[str, Member] = {}
        self._desk = Desk()

    def read(self) -> Desk:
        """The desk as it is now; the very object of the last call where nothing has changed."""
        with one_moment():
            heads, version = read_heads(), current_price_version()
            self._find_windows(version)
            self._place(heads, version)
            self._read_pasts(heads)
        if self._renew_members(heads):
            self._desk = make_desk(self._members.values(), self._windows, self._desk)
        return self._desk

    def _find_windows(self, version: int) -> None:
        known, days = self._windows, settings.LIMIT_WINDOW_DAYS
        if known is None or (known.matrix.version, known.window_days) != (version, days):
            self._windows = Windows(load_matrix(version), days) if version else None

    def _place(self, heads: Mapping[str, Head], version: int) -> None:
        """The books that are not known in their present state."""
        states = {each: PlacedState(head.book, version, settings.LIMIT_WINDOW_DAYS) for each, head in heads.items()}
        asked = [head for each, head in heads.items() if not self._knows(each, states[each])]
        for book in self._held.books_of(asked):
            self._placed[book.portfolio_id] = states[book.portfolio_id], place(book, self._windows)
        self._placed = {each: self._placed[each] for each in heads}
        self._held.keep_only(heads)

    def _knows(self, portfolio_id: str, state: PlacedState) -> bool:
        known = self._placed.get(portfolio_id)
        return known is not None and known[0] == state

    def _read_pasts(self, heads: Mapping[str, Head]) -> None:
        states = {
            each: PastState(heads[each].book, heads[each].history, placed.as_of)
            for each, (_, placed) in self._placed.items()
            if placed.as_of
        }
        asked = {
            each: state for each, state in states.items() if each not in self._pasts or self._pasts[each][0] != state
        }
        if asked and self._windows:
            read = read_both_pasts({each: self._placed[each][1] for each in asked}, self._windows.matrix)
            self._pasts |= {each: (asked[each], pasts) for each, pasts in read.items()}
        self._pasts = {each: self._pasts[each] for each in states}

    def _renew_members(self, heads: Mapping[str, Head]) -> bool:
        """Whether any book is another one now, has come or has gone."""
        before, self._members = self._members, {each: self._member(each) for each in heads}
        return before != self._members

    def _member(self, portfolio_id: str) -> Member:
        placed = self._placed[portfolio_id][1]
        _, pasts = self._pasts.get(portfolio_id, (None, None))
        known = self._members.get(portfolio_id)
        if known is not None and known.placed is placed and known.pasts is pasts:
            return known
        return Member(placed, pasts, next(_revisions))


class Reader:
    """Reads the books each second, in a thread of its own; or when it is told to, where that was not started."""

    def __init__(self) -> None:
        self._books = Books()
        self._latest: tuple[Desk, float] | None = None
        self._failure = ""
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def desk(self) -> Desk | None:
        """None until the books have been read for the first time."""
        return self._latest[0] if self._latest else None

    @property
    def read_at(self) -> float | None:
        """Seconds of the monotonic clock: what was true then is known here."""
        return self._latest[1] if self._latest else None

    @property
    def failure(self) -> str:
        """Why the last reading failed; empty where it did not."""
        return self._failure

    def start(self) -> None:
        self._thread = threading.Thread(target=self._read_on, name="streaming-books", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def begin_anew(self) -> None:
        """Forgets all books: the next reading reads everything."""
        self._books = Books()
        self._wanted.set()

    def read(self) -> None:
        """A failure is kept, and the books are those from before."""
        begun, books = time.monotonic(), self._books
        try:
            self._latest, failed = (books.read(), begun), ""
        except (DatabaseError, OSError) as error:
            failed = f"PostgreSQL does not answer: {error}".strip().splitlines()[0]
        except Exception as error:
            logger.exception("The books could not be read")
            failed = f"{type(error).__name__}: {error}"
            self._books = Books()  # whatever it remembers may be half of something
        if failed != self._failure:
            logger.log(logging.WARNING if failed else logging.INFO, "Books: %s", failed or "they are read again")
        self._failure = failed

    def _read_on(self) -> None:
        try:
            while not self._stopped.is_set():
                close_old_connections()
                self.read()
                self._wanted.wait(READ_SECONDS)
                self._wanted.clear()
        finally:
            connection.close()
