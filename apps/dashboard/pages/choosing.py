"""Which portfolio a page is of: the one in its path, or else the last that was looked at in this session."""

from django.http import HttpRequest

from apps.portfolios.access import get_visible_portfolio, visible_portfolios
from apps.portfolios.models import Portfolio

SESSION_KEY = "portfolio_id"


def visited_portfolio(request: HttpRequest, portfolio_id: str) -> Portfolio:
    """The one of the path, kept in mind for pages that are opened without one. Raises PortfolioNotFoundError."""
    portfolio = get_visible_portfolio(request.user, portfolio_id)
    if request.session.get(SESSION_KEY) != portfolio.id:
        request.session[SESSION_KEY] = portfolio.id
    return portfolio


def remembered_portfolio(request: HttpRequest) -> Portfolio | None:
    """The last one looked at; else the first open one that the user may see, None where there is none."""
    visible = visible_portfolios(request.user)
    last = visible.filter(pk=request.session.get(SESSION_KEY, "")).first()
    return last or visible.filter(closed_at=None).order_by("id").first()
