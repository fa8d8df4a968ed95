"""What is true at one moment: all reads of a run see one state of the database."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count
from django.db.models.functions import Now

from apps.portfolios.models import Portfolio, Reservation
from apps.portfolios.prices import current_price_version
from apps.risk.limit_kinds import LIMIT_KINDS, OrderKind
from apps.risk.models import RiskEvent, RiskMonitor

NOT_IN_FORCE = "not in force"

_LIMITS = (Path(__file__).parents[1] / "sql" / "monitor_limits.sql").read_text()


class LimitState(NamedTuple):
    """A limit as it was read. `row_version` names that state of its row; `is_seen`: its terms were evaluated before."""

    id: int
    portfolio_id: str
    kind: str
    symbol: str | None
    threshold: float
    warning_threshold: float
    action: str
    severity: str
    status: str
    reason: str
    value: float | None
    row_version: str
    is_seen: bool
    in_force: bool


class BookVersion(NamedTuple):
    """Everything that a book depends on: equal versions are equal books."""

    opened_at: datetime
    ledger_version: int
    benchmark: str | None


class Head(NamedTuple):
    """An open portfolio, by what names the state of its book and of its stored history."""

    portfolio_id: str
    book: BookVersion
    history: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """`limits` by portfolio; `stale`: whose prices are told to be stale; `orders`: a symbol's in the last minute."""

    now: datetime
    price_version: int
    heads: dict[str, Head]
    limits: dict[str, list[LimitState]]
    stale: frozenset[str]
    orders: Mapping[str, Mapping[str, int]]


@contextmanager
def one_moment() -> Iterator[None]:
    """All that is read inside is of one moment; where the caller has a transaction already, it is that one's."""
    is_outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if is_outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def read_moment() -> Moment:
    limits = _limits()
    heads = read_heads()
    return Moment(
        now=RiskMonitor.objects.values_list(Now(), flat=True).get(),
        price_version=current_price_version(),
        heads=heads,
        limits=limits,
        stale=_stale(),
        orders=_orders(limits),
    )


def read_heads() -> dict[str, Head]:
    """All open portfolios, in the order of their ids."""
    return {head.portfolio_id: head for head in _heads()}


def _heads() -> Iterator[Head]:
    names = ("pk", "created_at", "ledger_version", "benchmark_id", "history_ledger_version", "history_price_version")
    rows = Portfolio.objects.filter(closed_at=None).order_by("pk").values_list(*names)
    for portfolio_id, *book, ledger, prices in rows:
        yield Head(portfolio_id, BookVersion(*book), (ledger, prices))


def _limits() -> dict[str, list[LimitState]]:
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS, {"not_in_force": NOT_IN_FORCE})
        rows = [LimitState(*row) for row in cursor.fetchall()]
    return {portfolio_id: list(own) for portfolio_id, own in groupby(rows, key=lambda limit: limit.portfolio_id)}


def _stale() -> frozenset[str]:
    # By portfolio, closed ones as well, because that is how events are indexed.
    told = RiskEvent.objects.filter(
        portfolio__in=Portfolio.objects.all(), event_type=RiskEvent.Type.PRICES_STALE, closed_at=None
    )
    return frozenset(told.values_list("portfolio_id", flat=True))


def _orders(limits: Mapping[str, list[LimitState]]) -> dict[str, dict[str, int]]:
    """Of portfolios with a limit on orders; the others have no use for it."""
    concerned = [portfolio_id for portfolio_id, own in limits.items() if any(map(_is_about_orders, own))]
    recent = Reservation.objects.filter(portfolio__in=concerned, created_at__gt=Now() - timedelta(minutes=1))
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    of_symbol = recent.order_by().values_list("portfolio_id", "instrument_id").annotate(Count("pk"))
    for portfolio_id, symbol, count in of_symbol:
        counted[portfolio_id][symbol] = count
    return counted


def _is_about_orders(limit: LimitState) -> bool:
    return limit.in_force and isinstance(LIMIT_KINDS[limit.kind], OrderKind)
