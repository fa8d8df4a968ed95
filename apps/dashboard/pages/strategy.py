"""One strategy: its versions as a graph, two of them against each other, what is to be merged, what is deployed."""

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.paginator import Page as Rows
from django.core.paginator import Paginator
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.dashboard.pages.deployment_list import ALL, listed_deployments
from apps.dashboard.pages.page import Page
from apps.dashboard.pages.strategy_graph import Graph, GraphRow, version_graph
from apps.dashboard.pages.version_detail import OFFERED, offered_versions, version_detail
from apps.portfolios.access import visible_portfolios
from apps.portfolios.models import Portfolio
from apps.strategies.access import get_strategy, visible_deployments
from apps.strategies.ancestry import ancestry_of
from apps.strategies.api.queries import merge_requests_as_shown, strategies_as_shown, versions_as_shown
from apps.strategies.models import Deployment, Environment, MergeRequest, Schedule, Strategy, StrategyVersion

VERSIONS_SHOWN = 40
MERGE_REQUESTS_SHOWN = 25
FIRST_CODE = """\
def target_weights(prices, params):
    latest = prices.iloc[-1].dropna()
    return dict.fromkeys(latest.index, params["invested"] / len(latest))
"""
FIRST_PARAMETERS = {"invested": 0.98}


@dataclass(frozen=True, slots=True)
class VersionRow:
    """`runs` are the deployments of it that are active, as (id, portfolio, environment)."""

    version: StrategyVersion
    graph: GraphRow
    runs: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class VersionList:
    page: Rows
    rows: list[VersionRow]
    width: int


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form of a new version begins with: its parent's content."""

    parent: int | None
    code: str
    parameters: str


class StrategyPage(Page):
    entry = "strategies"
    roles = ("viewer",)
    template_name = "dashboard/strategy.html"
    fragments = {
        "versions": "dashboard/strategies/versions.html",
        "detail": "dashboard/strategies/detail.html",
        "merge-requests": "dashboard/strategies/merge_requests.html",
        "deployments": "dashboard/strategies/deployments.html",
    }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Each part is read when a template asks for it: a fragment reads its own alone."""
        request = self.request
        strategy = strategies_as_shown().get(pk=get_strategy(self.kwargs["strategy_id"]).pk)
        detail = SimpleLazyObject(lambda: version_detail(request, strategy))
        return super().get_context_data(**kwargs) | {
            "title": f"{strategy.pk}: {strategy.name}",
            "strategy": strategy,
            "versions": SimpleLazyObject(lambda: _versions(request, strategy)),
            "detail": detail,
            "merge_requests": SimpleLazyObject(lambda: _merge_requests(strategy)),
            "deployments": SimpleLazyObject(lambda: listed_deployments(request, strategy.pk, ALL)),
            "draft": SimpleLazyObject(lambda: _draft(strategy)),
            "to_deploy": SimpleLazyObject(lambda: _to_deploy(request.user, strategy, detail)),
            "reads_books": True,
        }


def _versions(request: HttpRequest, strategy: Strategy) -> VersionList:
    """A page of them; the graph is that of all, so that its lines go on over the edge of a page."""
    graph = version_graph(ancestry_of(strategy.pk).nodes.values())
    page = Paginator(versions_as_shown(strategy.pk), VERSIONS_SHOWN).get_page(request.GET.get("versions"))
    versions = list(page.object_list)
    runs = _runs(request.user, strategy)
    return VersionList(page, [_row(each, graph, runs) for each in versions], graph.width)


def _row(version: StrategyVersion, graph: Graph, runs: dict[int, list[dict[str, Any]]]) -> VersionRow:
    return VersionRow(version, graph.rows.get(version.pk, GraphRow(0, ())), runs.get(version.pk, []))


def _runs(user: Any, strategy: Strategy) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    active = visible_deployments(user).filter(strategy=strategy, status=Deployment.Status.ACTIVE)
    for row in active.order_by("portfolio_id").values("id", "version_id", "portfolio_id", "environment"):
        found.setdefault(row["version_id"], []).append({**row})
    return found


def _merge_requests(strategy: Strategy) -> list[MergeRequest]:
    """The open ones first, of which none is left out."""
    rows = merge_requests_as_shown(strategy.pk).select_related("branch")
    rows = rows.defer("branch__code", "branch__parameters_text")
    waiting = list(rows.filter(status=MergeRequest.Status.OPEN))
    return waiting + list(rows.filter(status=MergeRequest.Status.RESOLVED)[:MERGE_REQUESTS_SHOWN])


def _draft(strategy: Strategy) -> Draft:
    head = strategy.head
    parameters = head.parameters if head else FIRST_PARAMETERS
    shown = json.dumps(parameters, indent=2, sort_keys=True, ensure_ascii=False)
    return Draft(head.version if head else None, head.code if head else FIRST_CODE, shown)


def _to_deploy(user: Any, strategy: Strategy, detail: Any) -> dict[str, Any]:
    """What the form of a deployment lets one choose; also the version that is shown, however old."""
    head = strategy.head.version if strategy.head else 0
    return {
        "versions": offered_versions(strategy, head, detail.right.version),
        "versions_offered": OFFERED,
        "portfolios": _open_portfolios(user),
        "schedules": Schedule.choices,
        "environments": Environment.choices,
        "cost_bps": settings.STRATEGY_COST_BPS,
    }


def _open_portfolios(user: Any) -> QuerySet[Portfolio]:
    """With the strategy that runs there, whose place a deployment would take."""
    active = Deployment.objects.filter(portfolio=OuterRef("pk"), status=Deployment.Status.ACTIVE)
    rows = visible_portfolios(user).filter(closed_at=None).order_by("id")
    return rows.annotate(running=Subquery(active.values("strategy_id")[:1]))
