"""Every strategy: where its main line stands, what waits to be merged, and what of it runs where."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.paginator import Page as Rows
from django.core.paginator import Paginator
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.dashboard.pages.deployment_list import listed_deployments
from apps.dashboard.pages.page import Page
from apps.strategies.access import visible_deployments
from apps.strategies.api.queries import strategies_as_shown
from apps.strategies.models import Deployment, Strategy
from nautilus.api.access import has_role

PAGE_SIZE = 25
# What the address calls a column, its heading, and what it is sorted by.
COLUMNS = (
    ("id", "Strategy", ("id",)),
    ("head", "Head", ("head_number", "id")),
    ("versions", "Versions", ("version_count", "id")),
    ("open", "Merge requests", ("open_merge_request_count", "id")),
    ("changed", "Changed", ("head_created_at", "id")),
)
SORTED_BY = {name: fields for name, _, fields in COLUMNS}


@dataclass(frozen=True, slots=True)
class Column:
    """`sorts` is the `?sort=` that its heading leads to; `aria` what it is sorted by now."""

    name: str
    title: str
    sorts: str
    aria: str


@dataclass(frozen=True, slots=True)
class StrategyList:
    page: Rows
    runs: dict[str, list[dict[str, Any]]]
    columns: list[Column]
    name: str
    sort: str


class StrategiesPage(Page):
    title = "Strategies"
    entry = "strategies"
    roles = ("viewer", "operator")
    template_name = "dashboard/strategies.html"
    fragments = {
        "strategies": "dashboard/strategies/list.html",
        "deployments": "dashboard/strategies/deployments.html",
    }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Each part is read when a template asks for it: a fragment reads its own alone."""
        request = self.request
        return super().get_context_data(**kwargs) | {
            "strategies": SimpleLazyObject(lambda: _strategies(request)),
            "deployments": SimpleLazyObject(lambda: listed_deployments(request)),
            "reads_books": has_role(request.user, "viewer"),
            "stuck_minutes": settings.DEPLOYMENT_STUCK_MINUTES,
        }


def _strategies(request: HttpRequest) -> StrategyList:
    name = request.GET.get("name", "").replace("\0", "").strip()
    sort = request.GET.get("sort", "id")
    if sort.removeprefix("-") not in SORTED_BY:
        sort = "id"
    page = Paginator(_found(name, sort), PAGE_SIZE).get_page(request.GET.get("page"))
    return StrategyList(page, _runs(request.user, list(page.object_list)), _columns(sort), name, sort)


def _found(name: str, sort: str) -> QuerySet[Strategy]:
    found = strategies_as_shown().annotate(head_created_at=F("head__created_at"))
    if name:
        found = found.filter(Q(name__icontains=name) | Q(pk__icontains=name))
    fields = SORTED_BY[sort.removeprefix("-")]
    if sort.startswith("-"):
        return found.order_by(*(F(field).desc(nulls_last=True) for field in fields))
    return found.order_by(*(F(field).asc(nulls_last=True) for field in fields))


def _columns(sort: str) -> list[Column]:
    return [_column(name, title, sort) for name, title, _ in COLUMNS]


def _column(name: str, title: str, sort: str) -> Column:
    """A second click turns the order round."""
    aria = {name: "ascending", f"-{name}": "descending"}.get(sort, "none")
    return Column(name, title, f"-{name}" if sort == name else name, aria)


def _runs(user: Any, strategies: list[Strategy]) -> dict[str, list[dict[str, Any]]]:
    """What is active, by strategy, on the portfolios that the user may see."""
    active = visible_deployments(user).filter(strategy__in=strategies, status=Deployment.Status.ACTIVE)
    found: dict[str, list[dict[str, Any]]] = {}
    named = active.order_by("portfolio_id", "environment").values(
        "id", "strategy_id", "portfolio_id", "environment", number=F("version__version")
    )
    for row in named:
        found.setdefault(row["strategy_id"], []).append({**row})
    return found
