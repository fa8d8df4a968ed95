"""One deployment: how far it has come, step by step, what it decides and trades, and what may be done with it."""

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page as Rows
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.dashboard.pages.deployment_list import with_what_ran_before
from apps.dashboard.pages.deployment_rights import returns_to_nothing, rights
from apps.dashboard.pages.deployment_steps import backtest_of, steps_of_way
from apps.dashboard.pages.page import Page
from apps.strategies.access import get_visible_deployment
from apps.strategies.api.queries import orders_as_shown
from apps.strategies.models import Deployment, DeploymentOrder, DeploymentRun
from apps.strategies.representation import deployments_as_shown

RUNS_SHOWN, ORDERS_SHOWN = 10, 20
WEIGHTS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Weights:
    """The largest ones, and how many more there are."""

    shown: list[tuple[str, float]]
    more: int


@dataclass(frozen=True, slots=True)
class Run:
    run: DeploymentRun
    weights: Weights


@dataclass(frozen=True, slots=True)
class RunList:
    page: Rows
    rows: list[Run]


@dataclass(frozen=True, slots=True)
class OrderList:
    page: Rows
    status: str
    symbol: str

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(status.value, str(status.value)) for status in DeploymentOrder.Status]


class DeploymentPage(Page):
    entry = "strategies"
    roles = ("viewer",)
    template_name = "dashboard/deployment.html"
    fragments = {
        "state": "dashboard/strategies/deployment_state.html",
        "steps": "dashboard/strategies/steps.html",
        "backtest": "dashboard/strategies/backtest.html",
        "runs": "dashboard/strategies/runs.html",
        "orders": "dashboard/strategies/orders.html",
    }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Each part is read when a template asks for it: a fragment reads its own alone."""
        request = self.request
        found = get_visible_deployment(request.user, self.kwargs["deployment_id"])
        deployment = with_what_ran_before(deployments_as_shown()).get(pk=found.pk)
        return super().get_context_data(**kwargs) | {
            "title": f"{deployment.pk}: {deployment.strategy_id} version {deployment.version.version}",
            "deployment": deployment,
            "rights": SimpleLazyObject(lambda: _rights(request.user, deployment)),
            "steps": SimpleLazyObject(lambda: steps_of_way(deployment)),
            "backtest": SimpleLazyObject(lambda: backtest_of(deployment)),
            "runs": SimpleLazyObject(lambda: _runs(request, deployment)),
            "orders": SimpleLazyObject(lambda: _orders(request, deployment)),
        }


def _rights(user: Any, deployment: Deployment) -> Any:
    return rights(user, deployment, returns=returns_to_nothing(deployment))


def _runs(request: HttpRequest, deployment: Deployment) -> RunList:
    rows = DeploymentRun.objects.filter(deployment=deployment).order_by("-day")
    page = Paginator(rows, RUNS_SHOWN).get_page(request.GET.get("runs"))
    return RunList(page, [Run(run, _weights(run)) for run in page.object_list])


def _weights(run: DeploymentRun) -> Weights:
    held = sorted(((run.weights or {}).items()), key=lambda each: (-abs(each[1]), each[0]))
    held = [(symbol, weight) for symbol, weight in held if weight]
    return Weights(held[:WEIGHTS_SHOWN], max(len(held) - WEIGHTS_SHOWN, 0))


def _orders(request: HttpRequest, deployment: Deployment) -> OrderList:
    status, symbol = request.GET.get("status", ""), request.GET.get("symbol", "").replace("\0", "").strip()
    rows = orders_as_shown(deployment.pk)
    if status in DeploymentOrder.Status.values:
        rows = rows.filter(status=status)
    if symbol:
        rows = rows.filter(instrument__symbol__iexact=symbol)
    page = Paginator(rows, ORDERS_SHOWN).get_page(request.GET.get("orders"))
    return OrderList(page, status, symbol)
