"""What portfolios are worth now: their positions at each symbol's latest close."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from apps.portfolios.models import Portfolio, Position
from apps.portfolios.prices import Close, latest_prices


@dataclass(frozen=True, slots=True)
class Holding:
    symbol: str
    quantity: float
    average_cost: float
    close: Close | None

    @property
    def price(self) -> float | None:
        return self.close.close if self.close else None

    @property
    def price_date(self) -> date | None:
        return self.close.date if self.close else None

    @property
    def value(self) -> float | None:
        return self.quantity * self.close.close if self.close else None

    @property
    def unrealized_pnl(self) -> float | None:
        return self.quantity * (self.close.close - self.average_cost) if self.close else None


@dataclass(frozen=True, slots=True)
class Valuation:
    """Cash and holdings of a portfolio. A sum over holdings is None where one of them has no price."""

    cash: float
    holdings: tuple[Holding, ...]

    @property
    def unpriced(self) -> list[str]:
        return [holding.symbol for holding in self.holdings if holding.close is None]

    @property
    def value(self) -> float | None:
        values = self._values()
        return None if values is None else math.fsum([self.cash, *values])

    @property
    def gross_exposure(self) -> float | None:
        values = self._values()
        return None if values is None else math.fsum(map(abs, values))

    @property
    def net_exposure(self) -> float | None:
        values = self._values()
        return None if values is None else math.fsum(values)

    @property
    def as_of(self) -> date | None:
        """The oldest of the closes that went in; None where there are none, as cash has no date."""
        return min((holding.close.date for holding in self.holdings if holding.close), default=None)

    @property
    def reason(self) -> str | None:
        """Why there is no value."""
        return f"no price of {', '.join(self.unpriced)}" if self.unpriced else None

    def weight(self, holding: Holding) -> float | None:
        """The holding's part of the portfolio's value; None where that is not above zero, or not known."""
        total, value = self.value, holding.value
        return value / total if value is not None and total is not None and total > 0 else None

    def _values(self) -> list[float] | None:
        values = [holding.value for holding in self.holdings if holding.value is not None]
        return values if len(values) == len(self.holdings) else None


def value_portfolios(portfolios: Iterable[Portfolio]) -> dict[str, Valuation]:
    """By id; two queries, however many portfolios there are."""
    portfolios = list(portfolios)
    held = Position.objects.filter(portfolio__in=portfolios).order_by("portfolio_id", "instrument_id")
    # Not as models: of a book of 10,000 positions they would take most of the time.
    positions = list(held.values_list("portfolio_id", "instrument_id", "quantity", "average_cost"))
    closes = latest_prices(symbol for _, symbol, _, _ in positions)
    holdings: dict[str, list[Holding]] = {portfolio.id: [] for portfolio in portfolios}
    for portfolio_id, symbol, quantity, average_cost in positions:
        holdings[portfolio_id].append(Holding(symbol, float(quantity), float(average_cost), closes.get(symbol)))
    return {portfolio.id: Valuation(float(portfolio.cash), tuple(holdings[portfolio.id])) for portfolio in portfolios}
