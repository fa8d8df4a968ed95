"""Deployments as a list, newest first: all that a user may see, or those of one strategy."""

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.dashboard.pages.deployment_rights import Rights, rights
from apps.portfolios.access import visible_portfolios
from apps.strategies.models import IN_PIPELINE, Deployment
from apps.strategies.representation import deployments_as_listed
from nautilus.api.access import has_role, sees_every_portfolio

PAGE_SIZE = 15
CURRENT, ALL = "current", "all"
CHOICES = (
    (CURRENT, "Running and on their way"),
    (ALL, "All"),
    *((status.value, str(status.value).replace("_", " ")) for status in Deployment.Status),
)


@dataclass(frozen=True, slots=True)
class ShownDeployment:
    """`is_read`: whether the user reads its book; an operator who does not sees that it runs, and not why it ended."""

    deployment: Deployment
    is_read: bool
    rights: Rights


@dataclass(frozen=True, slots=True)
class DeploymentList:
    page: Page
    rows: list[ShownDeployment]
    status: str
    follows_all: bool

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        return CHOICES


def listed_deployments(request: HttpRequest, strategy_id: str | None = None, status: str = CURRENT) -> DeploymentList:
    """As `?status=` and `?page=` say; `status` is what is shown without."""
    user = request.user
    asked = request.GET.get("status", status)
    chosen = asked if asked in dict(CHOICES) else status
    page = Paginator(_found(user, strategy_id, chosen), PAGE_SIZE).get_page(request.GET.get("page"))
    return DeploymentList(page, _shown(user, list(page.object_list)), chosen, sees_every_portfolio(user))


def _found(user: Any, strategy_id: str | None, status: str) -> QuerySet[Deployment]:
    """An operator reads no book and yet sees every deployment, as in the admin."""
    rows = with_what_ran_before(deployments_as_listed())
    if not has_role(user, "operator"):
        rows = rows.filter(portfolio__in=visible_portfolios(user))
    if strategy_id is not None:
        rows = rows.filter(strategy=strategy_id)
    if status == CURRENT:
        return rows.filter(status__in=(*IN_PIPELINE, Deployment.Status.ACTIVE))
    return rows if status == ALL else rows.filter(status=status)


def with_what_ran_before(rows: QuerySet[Deployment]) -> QuerySet[Deployment]:
    """With the number of the version that a rollback would bring back."""
    before = rows.select_related("strategy", "previous__version")
    long = ("previous__symbols", "previous__version__code", "previous__version__parameters_text")
    return before.defer(*long, "strategy__description")


def _shown(user: Any, deployments: list[Deployment]) -> list[ShownDeployment]:
    named = {deployment.portfolio_id for deployment in deployments}
    read = set(visible_portfolios(user).filter(pk__in=named).values_list("pk", flat=True))
    return [ShownDeployment(each, each.portfolio_id in read, rights(user, each)) for each in deployments]
