"""Realized and unrealized gains of one symbol, by first in, first out and by average cost; exact, in Decimal.

Trades in the order of the book; quantities in units, negative when sold. A trade against the position closes it and
realizes quantity x (price of the sale - price of the purchase), for shorts as for longs; what goes beyond it opens a
position the other way at the trade's price. Amounts are in the currency of the prices.

For both methods, to the last digit: realized + unrealized = what was received for sales - what was paid for purchases +
quantity x price. FIFO is exact: no digit is rounded. The average has at most 60 digits, and what is realized is what
the remaining cost loses, so no rounding of it can open a gap.
Source: Bragg (2019), Accounting for Investments, ch. 3 (cost flow assumptions).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal

_ZERO = Decimal(0)

# Products of two NUMERIC(24, 8) have 48 digits; our own context, as the thread's may have been changed by anybody.
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Gains:
    realized: Decimal
    unrealized: Decimal

    @property
    def total(self) -> Decimal:
        """Realized + unrealized, to the last digit."""
        return EXACT.add(self.realized, self.unrealized)


@dataclass(slots=True)
class FifoLots:
    """Open purchases (or, of a short, sales), oldest first."""

    realized: Decimal = _ZERO
    lots: deque[tuple[Decimal, Decimal]] = field(default_factory=deque)

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """`quantity` units, negative when sold: closes the oldest lots first, opens one by what is left."""
        while quantity and self.lots and _opposite(self.lots[0][0], quantity):
            quantity = self._close(quantity, price)
        if quantity:
            self.lots.append((quantity, price))

    def _close(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Closes what it can of the oldest lot; returns what of the trade is left."""
        held, cost = self.lots.popleft()
        closed = min(abs(held), abs(quantity)).copy_sign(held)
        self._realize(closed, EXACT.subtract(price, cost))
        if closed != held:
            self.lots.appendleft((EXACT.subtract(held, closed), cost))
        return EXACT.add(quantity, closed)

    def _realize(self, quantity: Decimal, gain: Decimal) -> None:
        self.realized = EXACT.add(self.realized, EXACT.multiply(quantity, gain))

    @property
    def quantity(self) -> Decimal:
        """Units held, negative when short."""
        return _sum(quantity for quantity, _ in self.lots)

    def gains(self, price: Decimal | None) -> Gains:
        """`price` is needed where something is held. Raises ValueError without it."""
        unit = _needed(price, self.quantity)
        open_gains = (EXACT.multiply(held, EXACT.subtract(unit, cost)) for held, cost in self.lots)
        return Gains(self.realized, _sum(open_gains))


@dataclass(slots=True)
class AverageCost:
    """The position and what it cost in all, negative for a short."""

    realized: Decimal = _ZERO
    quantity: Decimal = _ZERO
    cost: Decimal = _ZERO

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """`quantity` units, negative when sold: closes at the average cost, opens or adds by what is left."""
        if _opposite(self.quantity, quantity):
            quantity = self._close(quantity, price)
        self.quantity = EXACT.add(self.quantity, quantity)
        self.cost = EXACT.add(self.cost, EXACT.multiply(quantity, price))

    def _close(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Closes what it can of the position; returns what of the trade is left."""
        closed = min(abs(self.quantity), abs(quantity)).copy_sign(self.quantity)
        is_all = closed == self.quantity
        released = self.cost if is_all else EXACT.divide(EXACT.multiply(self.cost, closed), self.quantity)
        self.realized = EXACT.add(self.realized, EXACT.subtract(EXACT.multiply(closed, price), released))
        self.cost = EXACT.subtract(self.cost, released)
        self.quantity = EXACT.subtract(self.quantity, closed)
        return EXACT.add(quantity, closed)

    def gains(self, price: Decimal | None) -> Gains:
        """`price` is needed where something is held. Raises ValueError without it."""
        worth = EXACT.multiply(self.quantity, _needed(price, self.quantity))
        return Gains(self.realized, EXACT.subtract(worth, self.cost))


def _opposite(held: Decimal, traded: Decimal) -> bool:
    return (held > 0 > traded) or (held < 0 < traded)


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for number in numbers:
        total = EXACT.add(total, number)
    return total


def _needed(price: Decimal | None, quantity: Decimal) -> Decimal:
    if price is None and quantity:
        raise ValueError(f"no price for {quantity} units; expected one, as something is held")
    return price if price is not None else _ZERO
