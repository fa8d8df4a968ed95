"""Deciding: read what is true, hold the trade against it, reserve where asked, keep the decision, answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.portfolios.errors import NoPricesError
from apps.risk.errors import CurrencyMismatchError, InsufficientHistoryError
from apps.risk.past import past_of
from apps.risk.pretrade.facts import read_facts, visibility
from apps.risk.pretrade.limits import Check, check_limits, refusals_of, warnings_of
from apps.risk.pretrade.orders import AskedTrade, Decision, Facts, LimitRow, PricedTrade, Refusal
from apps.risk.pretrade.positions import BookMovedError, BookState, Positions, load_positions
from apps.risk.pretrade.record import keep_decision
from apps.risk.pretrade.rules import (
    Holdings,
    cash_refusals,
    collar_refusals,
    double_in_basket,
    double_refusals,
    freshness_refusals,
    instrument_refusals,
    is_stale,
    last_close_warnings,
    only_shrinks,
    portfolio_refusals,
    position_refusals,
    priced,
)
from nautilus.counting.counters import count_decision
from nautilus.database import run_prepared

READS_OF_A_MOVING_BOOK = 5
# Limits that count by the clock of now.
BY_THE_CLOCK = frozenset({"order_rate"})

_HOLD_PORTFOLIO = (Path(__file__).parents[1] / "sql" / "hold_portfolio.sql").read_text()


def check_trades(
    portfolio_id: str,
    trades: Sequence[AskedTrade],
    *,
    reserve: bool,
    basket: bool = False,
    as_of: date | None = None,
    valued_on: date | None = None,
    user: Any = None,
) -> Decision:
    """Decides on the trades together, all or none, and keeps the decision.

    `valued_on` takes the closes as they were known on that day, and asks how old they were then: a strategy that deals
    with recorded days is checked on what it could have known, against the limits, cash and positions of now. What is
    held and has had no close for long is taken at its last one then, with a warning: it need not come back, and what it
    is worth is best known so. `order_rate` counts by the clock of now and is left out, with a warning as well.

    With `reserve` the room of approved trades is held: one step a portfolio, across all processes, because whoever
    reserves, books or releases holds the portfolio's row while it reads and writes. Raises PortfolioNotFoundError, also
    for a portfolio that the user may not see.
    """
    begun = perf_counter()
    asked = _Asked(portfolio_id, trades, basket, reserve, as_of, valued_on, user)
    decision = _reserved(asked) if reserve else keep_decision(_decide(asked), _user_id(user), reserve=False)
    count_decision(decision.approved, reserve, perf_counter() - begun)
    return decision


@dataclass(frozen=True, slots=True)
class _Asked:
    portfolio_id: str
    trades: Sequence[AskedTrade]
    basket: bool
    reserve: bool
    as_of: date | None
    valued_on: date | None
    user: Any


@transaction.atomic
def _reserved(asked: _Asked) -> Decision:
    run_prepared(_HOLD_PORTFOLIO, {"portfolio_id": asked.portfolio_id, **visibility(asked.user)})
    decision = _decide(asked)
    if decision.approved:
        decision.expires_at = decision.facts.now + timedelta(seconds=settings.RESERVATION_SECONDS)
    return keep_decision(decision, _user_id(asked.user), reserve=True)


def _user_id(user: Any) -> int | None:
    return None if user is None else user.pk


def _decide(asked: _Asked) -> Decision:
    begun = perf_counter()
    portfolio_id, trades = asked.portfolio_id, asked.trades
    facts, positions, refusals = _read(asked)
    left_out = [limit for limit in facts.limits if asked.valued_on and limit.kind in BY_THE_CLOCK]
    facts = replace(facts, limits=tuple(limit for limit in facts.limits if limit not in left_out))
    decision = Decision(portfolio_id, facts, asked.basket)
    decision.warnings += [_left_out(limit, asked.valued_on) for limit in left_out]
    decision.refusals += [*portfolio_refusals(portfolio_id, facts), *double_in_basket(trades)]
    decision.refusals += [refusal for trade in trades for refusal in instrument_refusals(trade, facts)]
    decision.refusals += refusals
    if positions is not None:
        _decide_on(decision, positions, trades, asked)
    decision.trades = decision.trades or [_unpriced(trade) for trade in trades]
    decision.elapsed_us = round((perf_counter() - begun) * 1e6)
    return decision


def _read(asked: _Asked) -> tuple[Facts, Positions | None, list[Refusal]]:
    """Facts and positions of one state of the ledger, or why there are no positions to check on."""
    portfolio_id, trades = asked.portfolio_id, asked.trades
    for _ in range(READS_OF_A_MOVING_BOOK):
        facts = read_facts(portfolio_id, trades, asked.user)
        named = {trade.symbol for trade in trades if trade.symbol in facts.instruments}
        named |= {leg.symbol for leg in facts.reserved}
        try:
            return facts, _load_positions(asked, facts, named), []
        except BookMovedError:
            continue
        except (InsufficientHistoryError, CurrencyMismatchError, NoPricesError) as error:
            return facts, None, [Refusal(error.code, error.sentence)]
    moving = f"{portfolio_id} was booked on {READS_OF_A_MOVING_BOOK} times while it was read; try again"
    return facts, None, [Refusal("book_moves", moving)]


def _load_positions(asked: _Asked, facts: Facts, named: set[str]) -> Positions:
    """At the closes of one day; of a recorded day where those would be too old, at the last closes (rules.py says of
    which orders they may be)."""
    state = _state(asked, facts)
    last = state._replace(at_last_closes=True)
    if asked.valued_on is None:
        return load_positions(state, named)
    try:
        positions = load_positions(state, named)
    except InsufficientHistoryError:  # there is no day on which all have a close
        return load_positions(last, named)
    stale = is_stale(positions.as_of, _looked_at(facts, asked.valued_on))
    return load_positions(last, named) if stale else positions


def _state(asked: _Asked, facts: Facts) -> BookState:
    versions = (facts.ledger_version, facts.price_version)
    return BookState(asked.portfolio_id, facts.benchmark, *versions, settings.LIMIT_WINDOW_DAYS, asked.valued_on)


def _left_out(limit: LimitRow, day: date | None) -> str:
    of_symbol = f" of {limit.symbol}" if limit.symbol else ""
    return f"{limit.kind}{of_symbol} is not checked: it counts the orders of the last minute, not those of {day}"


def _unpriced(trade: AskedTrade) -> dict[str, Any]:
    price = None if trade.price is None else float(trade.price)
    quantity = float(trade.quantity)
    notional = None if price is None else abs(quantity * price)
    told = {"symbol": trade.symbol, "quantity": quantity, "price": price, "notional": notional}
    return {**told, "order_id": trade.order_id}


def _decide_on(decision: Decision, positions: Positions, asked: Sequence[AskedTrade], how: _Asked) -> None:
    """Of a basket that reserves, each trade becomes a reservation of its own: `apart`."""
    apart = how.reserve and len(asked) > 1
    facts = decision.facts
    decision.as_of = positions.as_of
    trades = [found for trade in asked if (found := priced(trade, positions.windows))]
    if len(trades) < len(asked):  # an unknown symbol, which is said already
        return
    decision.priced = trades
    decision.trades = [trade.as_told() for trade in trades]
    decision.refusals += freshness_refusals(positions, asked, _looked_at(facts, how.valued_on), how.as_of)
    holdings = Holdings(positions, facts, apart)
    moves = [holdings.add(trade) for trade in trades]
    decision.refusals += _trade_refusals(facts, trades, moves)
    decision.refusals += cash_refusals(trades, facts, positions, apart)
    find_past = partial(past_of, decision.portfolio_id, positions.days, facts.ledger_version, facts.history_version)
    checks = list(check_limits(facts, positions, trades, find_past, apart))
    _add_checks(decision, checks, shrinks=all(only_shrinks(*move) for move in moves))
    decision.warnings += last_close_warnings(positions)
    if positions.as_of < positions.newest:
        decision.warnings.append(f"valued at the closes of {positions.as_of}; others are of {positions.newest} already")


def _looked_at(facts: Facts, valued_on: date | None) -> datetime:
    return facts.now if valued_on is None else datetime.combine(valued_on, time.max, UTC)


def _trade_refusals(
    facts: Facts, trades: Sequence[PricedTrade], moves: Sequence[tuple[float, float]]
) -> Iterator[Refusal]:
    for trade, (before, after) in zip(trades, moves, strict=True):
        yield from double_refusals(trade.asked, trade.price, facts.similar)
        yield from collar_refusals(trade)
        yield from position_refusals(trade, before, after, facts)


def _add_checks(decision: Decision, checks: list[Check], *, shrinks: bool) -> None:
    refused = list(refusals_of(checks, shrinks))
    decision.checks = [check.as_told() for check in checks]
    decision.refusals += refused
    decision.warnings += warnings_of(checks, {refusal.limit_id for refusal in refused})
