"""A deployment becomes the one that runs on its portfolio, and the one before it ends, in one transaction."""

from django.utils import timezone

from apps.portfolios.booking import lock_portfolio, refuse_closed
from apps.portfolios.models import Portfolio
from apps.risk.events import close_portfolio_events
from apps.risk.models import RiskEvent
from apps.strategies.brokers import broker_for
from apps.strategies.models import Deployment
from apps.strategies.running.due import submit_run
from apps.strategies.states import Status, active, end_deployment, move, tell


def refuse_what_cannot_run(deployment: Deployment) -> None:
    """Raises PortfolioClosedError, NoBrokerError: what may have changed since it was asked for."""
    refuse_closed(Portfolio.objects.get(pk=deployment.portfolio_id))
    broker_for(deployment.environment)


def activate(deployment: Deployment) -> None:
    """To be called in a transaction that holds the deployment. Raises PortfolioClosedError.

    Whoever needs two of a portfolio's deployments holds the one under way first, the active one second, and then the
    portfolio.
    """
    before = active(deployment.portfolio_id, deployment.environment)
    if before is not None:
        _end(before, deployment)
    refuse_closed(lock_portfolio(deployment.portfolio_id))
    fields = {} if deployment.rolls_back_id else {"previous": before}
    move(deployment, Status.ACTIVE, activated_at=timezone.now(), **fields)
    close_portfolio_events([deployment.portfolio_id], [RiskEvent.Type.STRATEGY_ROLLED_BACK])
    tell(deployment, "deployment.activated")
    submit_run(deployment)  # beat would, half a minute later


def _end(before: Deployment, after: Deployment) -> None:
    if before.pk == after.rolls_back_id:
        end_deployment(before.pk, Status.ROLLED_BACK, after.reason, user=after.created_by)
    else:
        end_deployment(before.pk, Status.SUPERSEDED, f"{after.pk} took its place", user=after.created_by)
