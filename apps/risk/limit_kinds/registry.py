"""What a kind of limit is: a measure of a book or of an order, and how it counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from apps.risk.figures import BookFigures, Order

Unit = Literal["currency", "fraction", "ratio", "quantity", "count"]


@dataclass(frozen=True, slots=True)
class LimitKind:
    """`unit` is that of thresholds and values; more is always worse. `takes_symbol`: may be of one symbol alone."""

    about: ClassVar[Literal["book", "order"]]
    name: str
    unit: Unit
    takes_symbol: bool

    def shown(self, value: float) -> str:
        """A value as people read it."""
        if self.unit in ("fraction", "ratio"):
            return f"{value:.4f}"
        return f"{value:.2f}" if self.unit == "currency" else f"{value:.10g}"


@dataclass(frozen=True, slots=True)
class BookKind(LimitKind):
    """`measure(figures, symbol)` raises NotMeasurableError with the reason.

    `stops_trading`: what was lost is lost, whatever is traded; in breach, only what shrinks a position goes through.
    """

    about = "book"
    measure: Callable[[BookFigures, str | None], float]
    stops_trading: bool = False


@dataclass(frozen=True, slots=True)
class OrderKind(LimitKind):
    """`measure(order)` of an order that the limit concerns; `before(order, symbol)` what stood before it, or None."""

    about = "order"
    measure: Callable[[Order, str | None], float]
    before: Callable[[Order, str | None], float | None] = lambda _order, _symbol: None


LIMIT_KINDS: dict[str, LimitKind] = {}


def register_limit_kind(kind: LimitKind) -> None:
    if kind.name in LIMIT_KINDS:
        raise ValueError(f"There is a limit kind '{kind.name}' already")
    LIMIT_KINDS[kind.name] = kind
