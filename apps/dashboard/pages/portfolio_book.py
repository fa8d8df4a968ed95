"""The portfolio page's book and limits: gauges, positions, trades, live prices and the hints of the what-if form."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Page as Rows
from django.core.paginator import Paginator
from django.db.models import F, QuerySet
from django.db.models.functions import Abs
from django.http import HttpRequest

from apps.dashboard.pages.portfolio_limits import LimitsShown, kinds_for_script, limits_shown
from apps.dashboard.pages.portfolio_positions import (
    AskedPositions,
    LiveQuote,
    LiveQuotes,
    PositionsShown,
    live_quotes,
    positions_shown,
)
from apps.portfolios.holdings import Valuation, value_portfolios
from apps.portfolios.models import Portfolio, Position, Trade

_FOLDER = "dashboard/portfolio"
BOOK_FRAGMENTS: dict[str, str] = {
    "limits-shown": f"{_FOLDER}/limits_shown.html",
    "positions-table": f"{_FOLDER}/positions_table.html",
    "trades-table": f"{_FOLDER}/trades_table.html",
    "quotes": f"{_FOLDER}/quotes.html",
    "whatif-symbols": f"{_FOLDER}/whatif_symbols.html",
}

TRADE_ROWS = 50
HINTS = 50
MOST_QUOTES = 200


@dataclass(frozen=True, slots=True)
class TradesShown:
    """One page of them, newest first; `symbol` is what they are filtered by."""

    rows: "Rows[Trade]"
    symbol: str
    words: str

    @property
    def query(self) -> str:
        return urlencode({"trades_symbol": self.symbol} if self.symbol else {})


def book_context(portfolio: Portfolio, request: HttpRequest) -> dict[str, Any]:
    return {"book": Book(portfolio, request)}


class Book:
    """What the cards show. Each is read when a template asks for it, as a fragment shows one of them alone."""

    def __init__(self, portfolio: Portfolio, request: HttpRequest) -> None:
        self.portfolio = portfolio
        self._asked = request.GET

    @cached_property
    def limits(self) -> LimitsShown:
        return limits_shown(self.portfolio)

    @cached_property
    def valuation(self) -> Valuation:
        return value_portfolios([self.portfolio])[self.portfolio.id]

    @cached_property
    def live(self) -> LiveQuotes:
        return live_quotes()

    @cached_property
    def positions(self) -> PositionsShown:
        return positions_shown(self.valuation, AskedPositions.of(self._asked), self.live)

    @cached_property
    def trades(self) -> TradesShown:
        symbol = self._asked.get("trades_symbol", "").strip()
        paginator = Paginator(_trades_of(self.portfolio, symbol), TRADE_ROWS)
        rows = paginator.get_page(self._asked.get("trades_page"))
        words = f"Trades {rows.start_index():,} to {rows.end_index():,} of {paginator.count:,}, newest first"
        return TradesShown(rows, symbol, words)

    @cached_property
    def quotes(self) -> list[LiveQuote]:
        """Those of the rows that a page shows, which it names."""
        symbols = self._asked.get("quoted", "").split(",")[:MOST_QUOTES]
        return [quote for symbol in symbols if (quote := self.live.of(symbol))]

    @property
    def stale_seconds(self) -> float:
        return settings.FEED_STALE_SECONDS

    @cached_property
    def hints(self) -> list[Position]:
        """What is held and has the typed text in its symbol."""
        typed = self._asked.get("whatif_symbol", "").strip()
        held = self.portfolio.positions.filter(**_has("instrument__pk", typed)).select_related("instrument")
        return list(held.order_by("instrument_id")[:HINTS])

    @property
    def for_script(self) -> dict[str, Any]:
        return {
            "portfolio": self.portfolio.id,
            "monitorSeconds": settings.MONITOR_INTERVAL_SECONDS,
            "currency": self.portfolio.base_currency,
            "closesOf": self.valuation.as_of.isoformat() if self.valuation.as_of else None,
            "kinds": kinds_for_script(),
        }


def _trades_of(portfolio: Portfolio, symbol: str) -> QuerySet[Trade]:
    booked = portfolio.trades.filter(**_has("instrument__pk", symbol)).select_related("booked_by")
    return booked.annotate(notional=Abs(F("quantity") * F("price"))).order_by("-traded_at", "-id")


def _has(field: str, text: str) -> dict[str, str]:
    """A filter by part of a symbol. PostgreSQL has no place for a NUL character, and no symbol has one."""
    return {f"{field}__icontains": text.replace("\0", "\N{REPLACEMENT CHARACTER}")} if text else {}
