"""A page of positions, sorted and filtered: quick for a book of 10,000, as only what is shown is made into rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from redis.exceptions import RedisError

from apps.dashboard.templatetags.figures import both_ends
from apps.portfolios.holdings import Holding, Valuation
from apps.portfolios.quotes import latest_quotes
from nautilus.connections import impatient_redis_client

ROWS = 100
LARGEST_FIRST = "-value"
# It stands in each row.
LONGEST_REASON = 200

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = Callable[[Holding], Any]


class LiveQuote(NamedTuple):
    symbol: str
    price: float
    at: datetime


@dataclass(frozen=True, slots=True)
class LiveQuotes:
    """The newest quote of each symbol: price, and microseconds since 1970. `reason` says why none is known."""

    by_symbol: Mapping[str, tuple[float, int]]
    reason: str = ""

    def of(self, symbol: str) -> LiveQuote | None:
        found = self.by_symbol.get(symbol)
        return LiveQuote(symbol, found[0], _EPOCH + timedelta(microseconds=found[1])) if found else None

    def price_of(self, holding: Holding) -> float | None:
        found = self.by_symbol.get(holding.symbol)
        return found[0] if found else None


def live_quotes() -> LiveQuotes:
    try:
        quotes = latest_quotes(impatient_redis_client())
    except (RedisError, OSError):
        return LiveQuotes({}, "Redis cannot be reached, so no live price is known.")
    rows = zip(quotes.prices.tolist(), quotes.seen_us().tolist(), strict=True)
    return LiveQuotes(dict(zip(quotes.symbols, rows, strict=True)))


class Column(NamedTuple):
    """`sorts_by`: the figure of a holding; None where it is not the holding's."""

    name: str
    title: str
    sorts_by: Key | None
    is_number: bool = True


COLUMNS = (
    Column("symbol", "Symbol", attrgetter("symbol"), is_number=False),
    Column("quantity", "Quantity", attrgetter("quantity")),
    Column("price", "Close", attrgetter("price")),
    Column("live", "Live price", None),
    Column("value", "Value", attrgetter("value")),
    Column("weight", "Weight", attrgetter("value")),  # the same order: a weight is the value's part of one total
    Column("unrealized_pnl", "Unrealized P&L", attrgetter("unrealized_pnl")),
)
_BY_NAME = {column.name: column for column in COLUMNS}


@dataclass(frozen=True, slots=True)
class AskedPositions:
    """What the address asks for; anything that is no column is the order that the page begins with."""

    column: Column
    descending: bool
    symbol: str
    page: str | None

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Self:
        sort = asked.get("positions_sort", LARGEST_FIRST)
        sort = sort if sort.removeprefix("-") in _BY_NAME else LARGEST_FIRST
        column = _BY_NAME[sort.removeprefix("-")]
        return cls(column, sort.startswith("-"), asked.get("positions_symbol", "").strip(), asked.get("positions_page"))

    @property
    def sort(self) -> str:
        return f"-{self.column.name}" if self.descending else self.column.name

    @property
    def order(self) -> str:
        """In words."""
        if self.column.is_number:
            return "largest first" if self.descending else "smallest first"
        return "Z to A" if self.descending else "A to Z"


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's head: how it sorts now, and the address's query that sorts by it."""

    column: Column
    direction: str
    query: str


@dataclass(frozen=True, slots=True)
class Row:
    """A position. `bar` is its weight in per cent of the book's greatest; `old_date` that of a close that is behind."""

    holding: Holding
    weight: float | None
    bar: float
    live: LiveQuote | None
    live_change: float | None
    old_date: date | None


@dataclass(frozen=True, slots=True)
class PositionsShown:
    """One page. `held` counts all of the book; `why_no_weight` and `why_not_live` say why there is none."""

    asked: AskedPositions
    headings: list[Heading]
    page: "Page[Holding]"
    rows: list[Row]
    held: int
    newest_close: date | None
    words: str
    why_no_weight: str
    why_not_live: str

    @property
    def query(self) -> str:
        return _query(self.asked.sort, self.asked.symbol)

    @property
    def quoted(self) -> str:
        """The symbols whose live prices are to be followed."""
        return ",".join(row.holding.symbol for row in self.rows)


def positions_shown(valuation: Valuation, asked: AskedPositions, live: LiveQuotes) -> PositionsShown:
    found = _found(valuation.holdings, asked.symbol.casefold())
    ordered = sort_holdings(found, asked.column.sorts_by or live.price_of, descending=asked.descending)
    page = Paginator(ordered, ROWS).get_page(asked.page)
    newest_close = max((holding.close.date for holding in valuation.holdings if holding.close), default=None)
    return PositionsShown(
        asked,
        [_heading(column, asked) for column in COLUMNS],
        page,
        _rows(list(page), valuation, live, newest_close),
        len(valuation.holdings),
        newest_close,
        _words(page, asked, len(found)),
        both_ends(valuation.reason or "the portfolio's value is not above zero", LONGEST_REASON),
        live.reason or "no quote has come yet",
    )


def _found(holdings: Sequence[Holding], wanted: str) -> Sequence[Holding]:
    if not wanted:
        return holdings
    return [holding for holding in holdings if wanted in holding.symbol.casefold()]


def sort_holdings(holdings: Sequence[Holding], key: Key, *, descending: bool) -> list[Holding]:
    """What has no figure comes last, either way; equal ones stay in the order of their symbols."""
    figures = [(key(holding), holding) for holding in holdings]
    known = sorted((each for each in figures if each[0] is not None), key=itemgetter(0), reverse=descending)
    return [holding for _, holding in known] + [holding for figure, holding in figures if figure is None]


def _rows(shown: Sequence[Holding], valuation: Valuation, live: LiveQuotes, newest: date | None) -> list[Row]:
    """The book's sums are made once: Valuation.weight would add the whole book up for each row."""
    total = valuation.value
    greatest = max((abs(holding.value or 0.0) for holding in valuation.holdings), default=0.0) or 1.0
    return [_row(holding, total, greatest, live.of(holding.symbol), newest) for holding in shown]


def _row(holding: Holding, total: float | None, greatest: float, live: LiveQuote | None, newest: date | None) -> Row:
    value, close = holding.value, holding.close
    return Row(
        holding,
        value / total if value is not None and total is not None and total > 0 else None,
        100 * abs(value or 0.0) / greatest,
        live,
        live.price / close.close - 1 if live and close else None,
        close.date if close and close.date != newest else None,
    )


def _heading(column: Column, asked: AskedPositions) -> Heading:
    """Another column begins with its largest figures, symbols with A; the same one the other way round."""
    is_current = column == asked.column
    descends = not asked.descending if is_current else column.is_number
    direction = ("descending" if asked.descending else "ascending") if is_current else ""
    sort = f"-{column.name}" if descends else column.name
    return Heading(column, direction, _query(sort, asked.symbol))


def _query(sort: str, symbol: str) -> str:
    return urlencode({"positions_sort": sort, **({"positions_symbol": symbol} if symbol else {})})


def _words(page: "Page[Holding]", asked: AskedPositions, found: int) -> str:
    title = asked.column.title[:1].lower() + asked.column.title[1:]
    return f"Positions {page.start_index():,} to {page.end_index():,} of {found:,}, by {title}, {asked.order}"
