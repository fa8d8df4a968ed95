"""Books as arrays: those of one window in one group, a row a book, a column a symbol that any of them holds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np

from apps.analytics.kernels.live import BoolArray, FloatArray, IntArray
from apps.analytics.streaming.leases import by_shard
from apps.analytics.streaming.placing import Pasts, Placed
from apps.portfolios.kernels.valuation import simple_returns
from apps.risk.figures import Past
from apps.risk.windows import Rows, Windows

_UNIX = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A book in a state that has the number `revision`: another state has a higher one."""

    placed: Placed
    pasts: Pasts | None
    revision: int


class PastArrays(NamedTuple):
    """`risk.figures.Past` of many books, (books,) each; `of_peak` NaN where the past is behind, as `behind` says."""

    value: FloatArray
    flows: FloatArray
    of_peak: FloatArray
    behind: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Books at the closes of `as_of`: `closes` (symbols,), `quantities` (books, symbols), `returns` (days, symbols).

    `returns` is None where no book of the group has a window, as `no_tail` (books,) says, or where they hold nothing.
    """

    members: tuple[Member, ...]
    ids: tuple[str, ...]
    shards: IntArray
    revisions: IntArray
    as_of: date
    symbols: tuple[str, ...]
    closes: FloatArray
    quantities: FloatArray
    held: BoolArray
    cash: FloatArray
    returns: FloatArray | None
    no_tail: tuple[str, ...]
    at_closes: PastArrays
    live: PastArrays

    @property
    def close_day(self) -> int:
        """Days since 1970."""
        return (self.as_of - _UNIX).days


@dataclass(frozen=True, slots=True, eq=False)
class Unvalued:
    """Books that have no value, and why."""

    ids: tuple[str, ...]
    shards: IntArray
    revisions: IntArray
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """All open portfolios at one price version."""

    groups: tuple[Group, ...] = ()
    unvalued: Unvalued | None = None

    @property
    def parts(self) -> tuple[Group | Unvalued, ...]:
        return (*self.groups, *([self.unvalued] if self.unvalued else ()))


def make_desk(members: Iterable[Member], windows: Windows | None, before: Desk) -> Desk:
    """Groups whose books are those of `before` are taken from there."""
    shared: dict[object, list[Member]] = defaultdict(list)
    without: list[Member] = []
    for member in members:
        positions = member.placed.positions
        if positions is None:
            without.append(member)
        else:
            rows = positions.window
            # What holds nothing has a VaR, of 0: it is no book without a window.
            shared[(positions.as_of, bool(member.placed.book.symbols)) if rows is None else id(rows)].append(member)
    known = {_states(group.members): group for group in before.groups}
    groups = [known.get(_states(each)) or _group(tuple(each), windows) for each in shared.values() if windows]
    return Desk(tuple(groups), _unvalued(tuple(without)) if without else None)


def _states(members: Sequence[Member]) -> tuple[tuple[str, int], ...]:
    return tuple((member.placed.book.portfolio_id, member.revision) for member in members)


def _unvalued(members: tuple[Member, ...]) -> Unvalued:
    ids = _ids(members)
    return Unvalued(ids, np.array(by_shard(ids)), _revisions(members), members)


def _group(members: tuple[Member, ...], windows: Windows) -> Group:
    first = members[0].placed.positions
    assert first is not None
    ids, own = _ids(members), [_columns(member) for member in members]
    columns = np.unique(np.concatenate(own))
    quantities = _quantities(members, own, columns)
    rows = first.window
    return Group(
        members=members,
        ids=ids,
        shards=np.array(by_shard(ids)),
        revisions=_revisions(members),
        as_of=first.as_of,
        symbols=tuple(windows.matrix.symbols[column] for column in columns),
        closes=windows.matrix.row(first.as_of)[columns],
        quantities=quantities,
        held=quantities != 0,
        cash=np.array([float(member.placed.book.cash) for member in members]),
        returns=None if rows is None else simple_returns(windows.matrix.prices[np.ix_(rows, columns)]),
        no_tail=tuple(member.placed.no_tail for member in members),
        at_closes=_pasts([member.pasts.at_closes for member in members if member.pasts]),
        live=_pasts([member.pasts.live for member in members if member.pasts]),
    )


def _ids(members: Sequence[Member]) -> tuple[str, ...]:
    return tuple(member.placed.book.portfolio_id for member in members)


def _revisions(members: Sequence[Member]) -> IntArray:
    return np.array([member.revision for member in members], dtype=np.int64)


def _columns(member: Member) -> Rows:
    assert member.placed.positions is not None
    return member.placed.positions.columns


def _quantities(members: Sequence[Member], own: Sequence[Rows], columns: Rows) -> FloatArray:
    """(books, columns), 0 where nothing is held."""
    quantities = np.zeros((len(members), len(columns)))
    for row, (member, held) in enumerate(zip(members, own, strict=True)):
        quantities[row, np.searchsorted(columns, held)] = member.placed.book.quantities
    return quantities


def _pasts(pasts: Sequence[Past]) -> PastArrays:
    return PastArrays(
        np.array([past.value for past in pasts]),
        np.array([past.flows for past in pasts]),
        np.array([np.nan if past.behind else past.of_peak for past in pasts]),
        tuple(past.behind for past in pasts),
    )
