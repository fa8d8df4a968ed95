"""A deployment becomes the one that runs on its portfolio, and the one before it ends, in one transaction."""

from datetime import date

from django.db.models import Max
from django.utils import timezone

from apps.portfolios.booking import lock_portfolio, refuse_closed
from apps.portfolios.models import Portfolio
from apps.risk.events import close_portfolio_events
from apps.risk.models import RiskEvent
from apps.strategies.brokers import broker_for
from apps.strategies.errors import BadStartDateError, OtherEnvironmentError
from apps.strategies.models import Deployment
from apps.strategies.running.due import submit_run
from apps.strategies.states import Status, active, end_deployment, move, tell


def refuse_what_cannot_run(deployment: Deployment) -> None:
    """What may have changed since it was asked for.

    Raises PortfolioClosedError, NoBrokerError, OtherEnvironmentError, BadStartDateError.
    """
    portfolio = Portfolio.objects.get(pk=deployment.portfolio_id)
    refuse_closed(portfolio)
    broker_for(deployment.environment)
    refuse_other_environment(portfolio.pk, deployment.environment)
    if deployment.start_date:
        refuse_moved_book(portfolio, deployment.start_date)


def refuse_other_environment(portfolio_id: str, environment: str) -> None:
    """One ledger: paper trades and real ones in it would be sized by each other."""
    others = Deployment.objects.filter(portfolio=portfolio_id, status=Status.ACTIVE).exclude(environment=environment)
    if (other := others.first()) is not None:
        raise OtherEnvironmentError(
            f"{other.pk} is active on {portfolio_id} in '{other.environment}': it cannot be '{environment}' as well.",
            f"Take another portfolio, or roll {other.pk} back first.",
        )


def refuse_moved_book(portfolio: Portfolio, start: date) -> None:
    """Recorded days are traded on the book as it is: one that has moved since would be sized by what came later."""
    traded = portfolio.trades.aggregate(last=Max("traded_at"))["last"]
    paid = portfolio.cash_flows.aggregate(last=Max("date"))["last"]
    last = max((day for day in (traded and traded.date(), paid) if day), default=None)
    if last is not None and start <= last:
        raise BadStartDateError(
            f"{portfolio.pk} was booked on last on {last}: recorded days from {start} on would be traded on what it has"
            " since.",
            f"Name a day after {last}, leave start_date out, or take another portfolio.",
            "start_date",
        )


def activate(deployment: Deployment) -> None:
    """To be called in a transaction that holds the deployment. Raises PortfolioClosedError, OtherEnvironmentError.

    Whoever needs two of a portfolio's deployments holds the one under way first, the active one second, and then the
    portfolio.
    """
    before = active(deployment.portfolio_id, deployment.environment)
    if before is not None:
        _end(before, deployment)
    refuse_closed(lock_portfolio(deployment.portfolio_id))
    refuse_other_environment(deployment.portfolio_id, deployment.environment)
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
