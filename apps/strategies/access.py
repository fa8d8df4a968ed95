"""Who may see, ask for, approve and roll back which deployment."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import PermissionDenied

from apps.portfolios.access import get_visible_portfolio, visible_portfolios
from apps.portfolios.models import Portfolio
from apps.portfolios.names import is_portfolio_id
from apps.strategies.errors import DeploymentNotFoundError, OwnDeploymentError, StrategyNotFoundError
from apps.strategies.models import Deployment, Environment, Strategy
from nautilus.api.access import ADMIN, has_role, sees_every_portfolio


def get_strategy(strategy_id: str) -> Strategy:
    """Raises StrategyNotFoundError."""
    strategy = Strategy.objects.filter(pk=strategy_id).first() if is_portfolio_id(strategy_id) else None
    if strategy is None:
        raise StrategyNotFoundError(strategy_id)
    return strategy


def visible_deployments(user: Any) -> QuerySet[Deployment]:
    return Deployment.objects.filter(portfolio__in=visible_portfolios(user))


def get_visible_deployment(user: Any, deployment_id: str) -> Deployment:
    """Raises DeploymentNotFoundError, in the same words for one that is not there and one that is hidden."""
    return _found(visible_deployments(user), deployment_id)


def _found(deployments: QuerySet[Deployment], deployment_id: str) -> Deployment:
    found = deployments.filter(pk=deployment_id).first() if is_portfolio_id(deployment_id) else None
    if found is None:
        raise DeploymentNotFoundError(deployment_id)
    return found


def may_read_deployment(user: Any, deployment_id: str) -> bool:
    """The rule of the topics `deployments:{id}`; a pattern is for those only who see every portfolio."""
    if "*" in deployment_id:
        return sees_every_portfolio(user)
    return is_portfolio_id(deployment_id) and visible_deployments(user).filter(pk=deployment_id).exists()


def check_may_deploy(user: Any, portfolio_id: str | None, environment: str = Environment.PAPER) -> None:
    """As get_portfolio_to_deploy_to: the rule of retries."""
    get_portfolio_to_deploy_to(user, portfolio_id or "", environment)


def get_portfolio_to_deploy_to(user: Any, portfolio_id: str, environment: str) -> Portfolio:
    """Strategists deploy to paper portfolios that they see, admins anywhere.

    Raises PermissionDenied, PortfolioNotFoundError.
    """
    role = ADMIN if environment == Environment.LIVE else "strategist"
    if not has_role(user, role):
        raise PermissionDenied(
            f"A deployment to '{environment}' needs the role '{role}', which your user does not have."
        )
    return get_visible_portfolio(user, portfolio_id)


def check_may_approve(user: Any, deployment: Deployment) -> None:
    """Risk managers and admins approve, never what they asked for themselves."""
    if not (has_role(user, "risk_manager") or has_role(user, ADMIN)):
        raise PermissionDenied("This needs the role 'risk_manager' or 'admin', which your user does not have.")
    if deployment.created_by_id == user.pk:
        raise OwnDeploymentError(
            f"You asked for {deployment.pk} yourself.", "Somebody else with the role 'risk_manager' has to approve it."
        )


def get_deployment_to_roll_back(user: Any, deployment_id: str, *, force: bool) -> Deployment:
    """Strategists roll back what they deployed; with `force` operators any, though they read no book; admins all.

    Raises PermissionDenied, DeploymentNotFoundError.
    """
    if has_role(user, ADMIN) or (force and has_role(user, "operator")):
        return _found(Deployment.objects.all(), deployment_id)
    if not has_role(user, "strategist"):
        needed = "'strategist' or 'operator'" if force else "'strategist', or 'operator' with \"force\": true"
        raise PermissionDenied(f"This needs the role {needed}, which your user does not have.")
    deployment = get_visible_deployment(user, deployment_id)
    if deployment.created_by_id != user.pk:
        raise PermissionDenied(f'{deployment.pk} is not yours: an operator may roll it back with "force": true.')
    return deployment
