"""Orders of a decision before they are sent or filled: what of them the pre-trade check approves, taken together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from apps.risk.pretrade.check import check_trades
from apps.risk.pretrade.orders import AskedTrade, Decision

Refused = dict[int, list[str]]


def refusals(portfolio_id: str, trades: Sequence[AskedTrade], valued_on: date | None) -> Refused:
    """Why not, by place; nothing where all are approved. At the closes of that day, on the book as it is now.

    A sale pays for a purchase of the same decision, and one hedges the other, so they are checked as one basket. Where
    that is refused, what the check names is left out and the rest is asked about once more; where it names none, each
    half is asked about on top of what is approved before it, so that what is refused does not stop the others.

    Approved as one basket is what is left: no part of it need be approved by itself. Each check takes time and keeps a
    record, so there are at most 2 log2(n) + 4 of them; what is not settled by then is refused with the last reasons.
    """
    sieve = _Sieve(portfolio_id, trades, valued_on, checks_left=most_checks(len(trades)))
    sieve.sift(range(len(trades)), [])
    return sieve.refused


def most_checks(count: int) -> int:
    """What finding one trade among `count` that the check does not name takes, and a few more."""
    return 2 * count.bit_length() + 4


@dataclass
class _Sieve:
    """Places of trades, sorted by what the check says: `approved` together so far, and `refused` with the reasons."""

    portfolio_id: str
    trades: Sequence[AskedTrade]
    valued_on: date | None
    checks_left: int
    approved: list[int] = field(default_factory=list)
    refused: Refused = field(default_factory=dict)

    def sift(self, places: Sequence[int], reasons: list[str]) -> None:
        """`reasons`: of the refused basket that these were part of."""
        if not places:
            return
        if not self.checks_left:
            self.refused.update(dict.fromkeys(places, reasons))
            return
        decision = self._check([*self.approved, *places])
        if decision.approved:
            self.approved += places
        else:
            self._sift_refused(places, decision)

    def _sift_refused(self, places: Sequence[int], decision: Decision) -> None:
        reasons = [refusal.detail for refusal in decision.refusals]
        named = self._named(places, decision) if len(places) > 1 else dict.fromkeys(places, reasons)
        self.refused.update(named)
        rest = [place for place in places if place not in named]
        half = len(rest) if named else len(rest) // 2
        self.sift(rest[:half], reasons)
        self.sift(rest[half:], reasons)

    def _named(self, places: Sequence[int], decision: Decision) -> Refused:
        said: dict[str, list[str]] = {}
        for refusal in decision.refusals:
            if refusal.symbol is not None:
                said.setdefault(refusal.symbol, []).append(refusal.detail)
        return {place: said[symbol] for place in places if (symbol := self.trades[place].symbol) in said}

    def _check(self, places: Sequence[int]) -> Decision:
        self.checks_left -= 1
        asked = [self.trades[place] for place in places]
        return check_trades(self.portfolio_id, asked, reserve=False, basket=True, valued_on=self.valued_on)
