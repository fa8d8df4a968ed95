"""What every booking does: hold the portfolio's row, move its cash and version, announce the change."""

from decimal import Decimal
from typing import Any

from apps.portfolios.errors import PortfolioClosedError, PortfolioNotFoundError, TooLargeError
from apps.portfolios.models import LARGEST, Portfolio
from apps.realtime.topics import publish_after_commit
from nautilus.api.errors import DomainError, DomainErrors


def lock_portfolio(portfolio_id: str) -> Portfolio:
    """The row, held until the transaction ends. Raises PortfolioNotFoundError."""
    # NO KEY UPDATE: as exclusive among us, and those who only refer to the portfolio need not wait.
    portfolio = Portfolio.objects.select_for_update(no_key=True).filter(pk=portfolio_id).first()
    if portfolio is None:
        raise PortfolioNotFoundError(portfolio_id)
    return portfolio


def refuse_closed(portfolio: Portfolio) -> None:
    if portfolio.closed_at is not None:
        raise PortfolioClosedError(
            f"{portfolio.id} was closed at {portfolio.closed_at:%Y-%m-%dT%H:%M:%SZ}: its book is complete.",
            "Open another portfolio.",
        )


def raise_all(errors: list[DomainError]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DomainErrors(errors)


def move_cash(portfolio: Portfolio, amount: Decimal) -> None:
    portfolio.cash += amount
    refuse_too_large(portfolio.cash, f"The cash of {portfolio.id}", None)
    portfolio.ledger_version += 1
    portfolio.save(update_fields=["cash", "ledger_version"])


def refuse_too_large(amount: Decimal, what: str, attr: str | None) -> None:
    if abs(amount) > LARGEST:
        raise TooLargeError(f"{what} would be {amount:.3E}.", "At most 1e15 is taken.", attr)


def announce(portfolio: Portfolio, event: str, **more: Any) -> None:
    state = {
        "event": event,
        "portfolio_id": portfolio.id,
        "ledger_version": portfolio.ledger_version,
        "cash": float(portfolio.cash),
    }
    publish_after_commit(f"portfolio:updates:{portfolio.id}", {**state, **more})
