"""The head of a portfolio's page: what it is worth now, what it may lose, and how old these figures are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from apps.analytics.streaming.status import streaming_status
from apps.dashboard.latest import LIVE_EVENT, newest_data
from apps.dashboard.templatetags.figures import change, money, percent, percent_change
from apps.portfolios.holdings import Valuation, value_portfolios
from apps.portfolios.models import Portfolio
from nautilus.connections import impatient_redis_client

NOT_LIVE = "It comes with the live figures, and none have come yet."
CASH_ONLY = "cash only"
_OF_CLOSES = ("value", "cash", "gross_exposure", "net_exposure")


# As js/format.js calls them, too.
WRITERS: dict[str, Callable[[float | None], str]] = {
    "money": money,
    "change": change,
    "percent": percent,
    "percentChange": percent_change,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """`write` names what writes it; `part` is a figure that stands below it, `reason` says why a value is None."""

    name: str
    title: str
    value: float | None
    reason: str
    write: str = "money"
    what: str = ""
    part: "Figure | None" = None

    @property
    def text(self) -> str:
        return WRITERS[self.write](self.value)

    @property
    def is_signed(self) -> bool:
        return self.write in ("change", "percentChange")


@dataclass(frozen=True, slots=True)
class Head:
    """`quoted_at` is the newest quote in the figures; `without_quote` says what they are of where there is none."""

    figures: tuple[Figure, ...]
    quoted_at: str | None
    without_quote: str
    is_ageless: bool
    not_live: str
    stale_symbols: tuple[str, ...]
    stale_count: int
    stale_seconds: float

    @property
    def stale_text(self) -> str:
        left = self.stale_count - len(self.stale_symbols)
        return ", ".join(self.stale_symbols) + (f" and {left} more" if left > 0 else "")


@dataclass(frozen=True, slots=True)
class Known:
    """What was told last, whole, or is so at the latest closes; `reasons` says why some of it is None."""

    figures: Mapping[str, Any]
    reasons: Mapping[str, str]

    @property
    def without_quote(self) -> str:
        """As js/freshness.js says it of live figures."""
        if self.figures.get("gross_exposure") == 0:
            return CASH_ONLY
        return f"closes of {self.figures['as_of']}" if self.figures.get("as_of") else "no price"

    @property
    def is_ageless(self) -> bool:
        """No price has a say in what is cash only."""
        return not self.figures.get("quoted_at") and self.without_quote == CASH_ONLY

    def figure(self, name: str, title: str, write: str = "money", what: str = "", part: Figure | None = None) -> Figure:
        return Figure(name, title, self.figures.get(name), self.reasons.get(name, NOT_LIVE), write, what, part)


def read_head(portfolio: Portfolio) -> Head:
    known = known_figures([portfolio])[portfolio.id]
    figures = known.figures
    return Head(
        tuple(_figures(known.figure)),
        figures.get("quoted_at"),
        known.without_quote,
        known.is_ageless,
        known.reasons.get("status", ""),
        tuple(figures.get("stale_symbols") or ()),
        figures.get("stale_count") or 0,
        settings.FEED_STALE_SECONDS,
    )


def known_figures(portfolios: Iterable[Portfolio]) -> dict[str, Known]:
    """By id; two queries at most, however many portfolios there are."""
    topics = {portfolio: f"analytics:updates:{portfolio.id}" for portfolio in portfolios}
    told = newest_data(topics.values(), LIVE_EVENT)
    valued = value_portfolios(portfolio for portfolio, topic in topics.items() if topic not in told)
    figures = {portfolio.id: told[topic] for portfolio, topic in topics.items() if topic in told}
    return {
        **{portfolio_id: Known(each, each.get("reasons") or {}) for portfolio_id, each in figures.items()},
        **{portfolio_id: _of_closes(valuation) for portfolio_id, valuation in valued.items()},
    }


def _of_closes(valuation: Valuation) -> Known:
    """What can be said before the engine has said anything: the book at its latest closes."""
    figures = {name: getattr(valuation, name) for name in (*_OF_CLOSES, "as_of")}
    return Known(figures, dict.fromkeys(_OF_CLOSES, valuation.reason or ""))


def _figures(figure: Callable[..., Figure]) -> list[Figure]:
    tail = "Over one day, by historical simulation of the book as it is now"
    return [
        figure("value", "Value"),
        figure(
            "day_pnl",
            "Day P&L",
            "change",
            "Since the close before, without what was paid in or out; below as a part of the value then",
            figure("day_pnl_pct", "", "percentChange"),
        ),
        figure("drawdown", "Drawdown", "percent", "How far the time-weighted index is below its highest"),
        figure("var_95", "VaR 95 %", what=tail),
        figure("var_99", "VaR 99 %", what=tail, part=figure("var_99_pct", "of value", "percent")),
        figure("expected_shortfall_975", "ES 97.5 %", what=tail),
        figure("gross_exposure", "Gross exposure", what="Longs and shorts added up"),
        figure("net_exposure", "Net exposure", what="Longs less shorts"),
        figure("cash", "Cash"),
    ]


def engine_status() -> dict[str, Any]:
    try:
        return streaming_status(impatient_redis_client())
    except (RedisError, OSError):
        return {"status": "stopped", "last_update_at": None, "reason": "Redis cannot be reached."}
