"""Who may see which portfolio: the one rule, for the API, the tasks and the topics."""

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from rest_framework.exceptions import PermissionDenied

from apps.portfolios.errors import PortfolioNotFoundError
from apps.portfolios.models import Portfolio
from apps.portfolios.names import is_portfolio_id
from nautilus.api.access import has_role, sees_every_portfolio


def visible_portfolios(user: Any) -> QuerySet[Portfolio]:
    """All for risk managers and admins, those of their groups for other viewers, none for anybody else.

    Closed ones are among them: their books stay readable.
    """
    if sees_every_portfolio(user):
        return Portfolio.objects.all()
    if not has_role(user, "viewer"):
        return Portfolio.objects.none()
    shared = Portfolio.groups.through.objects.filter(portfolio=OuterRef("pk"), group__user=user)
    return Portfolio.objects.filter(Exists(shared))


def get_visible_portfolio(user: Any, portfolio_id: str) -> Portfolio:
    """Raises PortfolioNotFoundError, in the same words for one that is not there and one that is hidden."""
    portfolio = visible_portfolios(user).filter(pk=portfolio_id).first() if is_portfolio_id(portfolio_id) else None
    if portfolio is None:
        raise PortfolioNotFoundError(portfolio_id)
    return portfolio


def may_read_portfolio(user: Any, portfolio_id: str) -> bool:
    """The rule of the topics `…:{portfolio_id}`; a pattern is for those only who see every portfolio."""
    if "*" in portfolio_id:
        return sees_every_portfolio(user)
    return is_portfolio_id(portfolio_id) and visible_portfolios(user).filter(pk=portfolio_id).exists()


def check_trader_of(user: Any, portfolio_id: str | None) -> None:
    """Raises where the user may not trade or analyse this portfolio."""
    if not has_role(user, "trader"):
        raise PermissionDenied("This needs the role 'trader', which your user does not have.")
    get_visible_portfolio(user, portfolio_id or "")


def check_may_import_prices(user: Any, portfolio_id: str | None = None) -> None:
    if not (has_role(user, "risk_manager") or has_role(user, "operator")):
        raise PermissionDenied("This needs the role 'risk_manager' or 'operator', which your user does not have.")
