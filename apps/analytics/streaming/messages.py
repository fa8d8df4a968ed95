"""What the two topics of a portfolio say: docs/asyncapi.yaml has the fields.

Messages are written column by column: a column of numbers is encoded at once, and of 2,000 messages a step each costs
8 µs, where an encoder for each took 25.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from apps.analytics.kernels.live import BoolArray, FloatArray
from apps.analytics.streaming.groups import Group, Unvalued
from apps.analytics.streaming.step import Figures, Prices
from apps.realtime.topics import Encoded, encode
from apps.risk.many_books import HeldBook
from apps.risk.monitor.measures import INTERNAL_ERROR

STALE_SHOWN = 20
WORTH = ("value", "cash", "gross_exposure", "net_exposure", "day_pnl", "day_pnl_pct")
TAILS = ("var_95", "var_99", "var_99_pct", "expected_shortfall_975")
FIGURES = (*WORTH, "drawdown", *TAILS)
# Of which both topics tell.
SHARED = ("status", "as_of", "quoted_at", "source", "books_as_of", *WORTH)

_NULL = "null"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ANALYTICS = (
    *("portfolio_id", *SHARED, "drawdown", *TAILS),
    *("currency", "ledger_version", "stale_symbols", "stale_count", "reasons", "gap"),
)
PORTFOLIO = ("portfolio_id", *SHARED, "reasons")

Message = tuple[str, Encoded]
Both = tuple[Message, Message]
# A row of its group, and its messages.
Told = tuple[int, Both]
# By place among the books that are told of: why what is null in the message is null.
Reasons = Mapping[int, Mapping[str, str]]
# By portfolio.
Gaps = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is true of all updates of one step. `not_live`: why the figures are not, empty where they are."""

    now_us: int
    stale_after_us: int
    source: str | None
    books_as_of: str
    not_live: str = ""

    @property
    def status(self) -> str:
        return "stale" if self.not_live else "live"

    @property
    def why(self) -> dict[str, str]:
        return {"status": self.not_live} if self.not_live else {}


def messages_of(figures: Figures, prices: Prices, around: Circumstances, gaps: Gaps) -> Iterator[Told]:
    """Row by row of the group; `gaps` by portfolio, where there is one to be told."""
    group, rows = figures.group, figures.rows.tolist()
    listed = {name: _listed(values) for name, values in _columns(figures).items()}
    quoted = [f'"{_time(us)}"' if us else _NULL for us in figures.quoted_us.tolist()]
    texts = {name: encode(values)[1:-1].split(",") for name, values in listed.items()}
    stale, counts = _stale_symbols(figures, prices, around)
    incomplete = {place for values in listed.values() for place, value in enumerate(values) if value is None}
    incomplete |= {place for place, text in enumerate(quoted) if text == _NULL}
    reasons = {place: _reasons(figures, place, listed) for place in incomplete}
    texts |= {"quoted_at": quoted, "stale_symbols": stale, "stale_count": counts}
    books = [group.members[row].placed.book for row in rows]
    return zip(rows, _written(books, encode(group.as_of), texts, reasons, around, gaps), strict=True)


def messages_without_value(
    unvalued: Unvalued, rows: Sequence[int], around: Circumstances, gaps: Gaps
) -> Iterator[Told]:
    placed = [unvalued.members[row].placed for row in rows]
    reasons = {place: {"as_of": one.no_value, **_all_null(one.no_value)} for place, one in enumerate(placed)}
    return zip(rows, _empty([one.book for one in placed], _NULL, reasons, around, gaps), strict=True)


def messages_of_failed(group: Group, row: int, around: Circumstances, gaps: Gaps) -> Iterator[Told]:
    book, reasons = group.members[row].placed.book, {0: _all_null(INTERNAL_ERROR)}
    return zip([row], _empty([book], encode(group.as_of), reasons, around, gaps), strict=True)


def _all_null(why: str) -> dict[str, str]:
    return dict.fromkeys(("quoted_at", *FIGURES), why)


def _empty(
    books: Sequence[HeldBook], as_of: str, reasons: Reasons, around: Circumstances, gaps: Gaps
) -> Iterator[Both]:
    size = len(books)
    texts = {name: [_NULL] * size for name in ("quoted_at", *FIGURES)}
    texts |= {"stale_symbols": ["[]"] * size, "stale_count": ["0"] * size}
    return _written(books, as_of, texts, reasons, around, gaps)


def _written(
    books: Sequence[HeldBook],
    as_of: str,
    texts: dict[str, list[str]],
    reasons: Reasons,
    around: Circumstances,
    gaps: Gaps,
) -> Iterator[Both]:
    """The whole on the analytics topic, and what the book is worth on the portfolio's."""
    size, ids = len(books), [book.portfolio_id for book in books]
    same = {
        "status": f'"{around.status}"',
        "as_of": as_of,
        "source": encode(around.source),
        "books_as_of": f'"{around.books_as_of}"',
    }
    why = [{**reasons.get(place, {}), **around.why} for place in range(size)] if reasons or around.why else [{}] * size
    texts |= {name: [text] * size for name, text in same.items()}
    texts |= {
        "portfolio_id": [encode(each) for each in ids],
        "currency": [encode(book.currency) for book in books],
        "ledger_version": [str(book.ledger_version) for book in books],
        "reasons": [encode(each) if each else "{}" for each in why],
        "gap": [encode(gaps[each]) if each in gaps else _NULL for each in ids],
    }
    analytics = _objects("analytics.updated", ANALYTICS, texts)
    of_worth = [{name: reason for name, reason in each.items() if name in SHARED} if each else {} for each in why]
    texts["reasons"] = [encode(each) if each else "{}" for each in of_worth]
    portfolio = _objects("portfolio.valued", PORTFOLIO, texts)
    for each, whole, worth in zip(ids, analytics, portfolio, strict=True):
        yield (f"analytics:updates:{each}", whole), (f"portfolio:updates:{each}", worth)


def _objects(event: str, names: Sequence[str], texts: Mapping[str, list[str]]) -> list[Encoded]:
    template = f'{{"event":"{event}",' + ",".join(f'"{name}":%s' for name in names) + "}"
    return [Encoded(template % row) for row in zip(*(texts[name] for name in names), strict=True)]


def _columns(figures: Figures) -> dict[str, FloatArray]:
    value = figures.value
    has_value = np.where(value > 0, value, np.nan)
    return {
        "value": value,
        "cash": figures.group.cash[figures.rows],
        "gross_exposure": figures.gross,
        "net_exposure": figures.net,
        "day_pnl": figures.day_pnl,
        "day_pnl_pct": figures.day_pnl_pct,
        "drawdown": figures.drawdown,
        "var_95": figures.var_95,
        "var_99": figures.var_99,
        "var_99_pct": figures.var_99 / has_value,
        "expected_shortfall_975": figures.expected_shortfall_975,
    }


def _listed(values: FloatArray) -> list[float | None]:
    """Numbers, None for what is none."""
    known = np.isfinite(values)
    if known.all():
        return values.tolist()
    return [value if is_known else None for value, is_known in zip(values.tolist(), known.tolist(), strict=True)]


def _reasons(figures: Figures, place: int, listed: Mapping[str, list[float | None]]) -> dict[str, str]:
    """Why each of them is null."""
    row = int(figures.rows[place])
    why = {name: _why(figures, place, row, name) for name, values in listed.items() if values[place] is None}
    if not figures.quoted_us[place]:
        why["quoted_at"] = f"no quote of what it holds is newer than the closes of {figures.group.as_of}"
    return why


def _why(figures: Figures, place: int, row: int, name: str) -> str:
    if name in TAILS and figures.group.no_tail[row]:
        return figures.group.no_tail[row]
    if name == "var_99_pct":
        return f"the portfolio is worth {figures.value[place]:.2f}, not above zero"
    if name in ("day_pnl", "day_pnl_pct", "drawdown"):
        worth = f"the portfolio was worth {figures.before.value[place]:.2f} at the close before, not above zero"
        return figures.before.behind[place] or worth
    return "it comes to no number"


def _stale_symbols(figures: Figures, prices: Prices, around: Circumstances) -> tuple[list[str], list[str]]:
    """Of each row the first symbols that have no recent quote, and how many there are; as JSON."""
    is_stale: BoolArray = around.now_us - prices.seen_us > around.stale_after_us
    if not is_stale.any():
        return ["[]"] * len(figures.rows), ["0"] * len(figures.rows)
    symbols, columns = figures.group.symbols, np.flatnonzero(is_stale)
    found = [columns[held] for held in figures.group.held[np.ix_(figures.rows, columns)]]
    shown = [encode([symbols[column] for column in each[:STALE_SHOWN]]) for each in found]
    return shown, [str(len(each)) for each in found]


def gap_of(from_us: int | None, to_us: int, reason: str) -> dict[str, Any]:
    """What the first update after a takeover says: from when to when nothing was published, and why."""
    return {
        "from": _time(from_us) if from_us else None,
        "to": _time(to_us),
        "seconds": max(0, to_us - from_us) / 1e6 if from_us else None,
        "reason": reason,
    }


@lru_cache(maxsize=4_096)
def _time(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def time_text(us: int) -> str:
    return _time(us)
