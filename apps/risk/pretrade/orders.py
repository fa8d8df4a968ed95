"""What is asked of a check, and what it is decided on and comes to."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class AskedTrade:
    """A trade that somebody wants to send. `quantity` is negative to sell; without a price the latest is taken.

    `order_id` is the client's own: two orders that are equal by mistake have the same, two that are meant have not.
    """

    symbol: str
    quantity: Decimal
    price: Decimal | None = None
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class PricedTrade:
    """An asked trade at its price, with the symbol's latest close beside it."""

    asked: AskedTrade
    price: Decimal
    last_price: float

    @property
    def symbol(self) -> str:
        return self.asked.symbol

    @property
    def leg(self) -> "Leg":
        return Leg(self.asked.symbol, float(self.asked.quantity), float(self.price))

    def as_told(self) -> dict[str, Any]:
        leg = self.leg
        return {
            "symbol": leg.symbol,
            "quantity": leg.quantity,
            "price": leg.price,
            "notional": abs(leg.quantity * leg.price),
            "order_id": self.asked.order_id,
        }


@dataclass(frozen=True, slots=True)
class Leg:
    """A change of one position: what is bought (positive) or sold, and at which price."""

    symbol: str
    quantity: float
    price: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason against a trade; `detail` says the value and what would be right.

    `symbol` is that of the trade where the reason is in it alone, whatever else is in its basket.
    """

    code: str
    detail: str
    limit_id: int | None = None
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class LimitRow:
    id: int
    kind: str
    symbol: str | None
    threshold: float
    warning_threshold: float
    action: str


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    symbol: str
    currency: str
    active: bool
    price_tick: Decimal | None
    quantity_step: Decimal | None
    min_quantity: Decimal | None
    max_quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class EarlierOrder:
    """An order that was reserved before, as far as doubles are told by it."""

    id: str
    order_id: str | None
    symbol: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Facts:
    """What was true at `now`, by the database's clock; positions.py has the rest.

    `reserved` has the live reservations, purchases and sales of a symbol summed up apart.
    """

    currency: str
    trading_state: str
    closed_at: datetime | None
    benchmark: str | None
    cash: float
    ledger_version: int
    history_version: tuple[int, int]
    short_selling_allowed: bool
    leverage_allowed: bool
    price_version: int
    halt: str | None
    now: datetime
    limits: tuple[LimitRow, ...]
    reserved: tuple[Leg, ...]
    instruments: dict[str, InstrumentRow]
    recent: dict[str, int]
    similar: tuple[EarlierOrder, ...]


@dataclass(slots=True)
class Decision:
    """What a check came to. `checks` are as the client sees them; it is approved where nothing speaks against it.

    `trades` are the asked ones as the client sees them, `priced` the same with their prices, empty where one has none.
    """

    portfolio_id: str
    facts: Facts
    basket: bool
    trades: list[dict[str, Any]] = field(default_factory=list)
    priced: list[PricedTrade] = field(default_factory=list)
    as_of: date | None = None
    checks: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    reservation_ids: list[UUID] = field(default_factory=list)
    expires_at: datetime | None = None
    elapsed_us: int = 0

    @property
    def approved(self) -> bool:
        return not self.refusals
