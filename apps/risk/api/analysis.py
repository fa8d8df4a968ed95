"""`/analytics/risk`: analyses, backtests, stress and stored figures."""

import json
from typing import Any

from django.db.models import Count, Max, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import get_visible_portfolio
from apps.risk.all_portfolios import submit_all
from apps.risk.analysis import submit_analysis
from apps.risk.backtests import submit_backtest
from apps.risk.comparison import submit_comparison
from apps.risk.inputs import submit_risk
from apps.risk.models import RiskMetric
from apps.risk.scenarios import SCENARIOS
from apps.risk.serializers.analysis import (
    AnalyzeAllSerializer,
    AnalyzeSerializer,
    CompareSerializer,
    RiskMetricSerializer,
)
from apps.risk.serializers.backtest import BacktestSerializer
from apps.risk.serializers.stress import HistoricalScenarioSerializer, StressSerializer
from apps.risk.stress import KIND as STRESS
from apps.tasks.api import AcceptedSerializer, accepted
from nautilus.api.access import RiskManager, Trader, Viewer
from nautilus.api.pages import PAGE_PARAMETERS, refuse_unknown_parameters
from nautilus.api.views import ApiView
from nautilus.cache import cached_result


class AnalyzeView(ApiView):
    roles = {"POST": Trader}
    serializer_class = AnalyzeSerializer

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        """Compute VaR and expected shortfall of a portfolio."""
        parameters = self.validated_json(request)
        portfolio = get_visible_portfolio(request.user, parameters["portfolio_id"])
        return accepted(submit_analysis(portfolio, parameters, request.user))


class CompareView(ApiView):
    roles = {"POST": Trader}
    serializer_class = CompareSerializer

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        """Compute one portfolio by every method, in one table, with how far they disagree."""
        parameters = self.validated_json(request)
        portfolio = get_visible_portfolio(request.user, parameters["portfolio_id"])
        return accepted(submit_comparison(portfolio, parameters, request.user))


class BacktestView(ApiView):
    roles = {"POST": Trader}
    serializer_class = BacktestSerializer

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        """Hold past one-day forecasts of VaR and ES against the P&L that came, by one method or several, ranked."""
        parameters = self.validated_json(request)
        portfolio = get_visible_portfolio(request.user, parameters["portfolio_id"])
        return accepted(submit_backtest(portfolio, parameters, request.user))


class AnalyzeAllView(ApiView):
    roles = {"POST": RiskManager}
    serializer_class = AnalyzeAllSerializer

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        """Compute historical VaR and expected shortfall of every open portfolio, in chunks over the workers."""
        return accepted(submit_all(self.validated_json(request), request.user))


class StressView(ApiView):
    roles = {"POST": Trader}
    serializer_class = StressSerializer

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        """Compute what a portfolio would lose in past moves, in own shocks, and the likeliest move that loses X."""
        parameters = self.validated_json(request)
        portfolio = get_visible_portfolio(request.user, parameters["portfolio_id"])
        return accepted(submit_risk(STRESS, portfolio, parameters, request.user))


class ScenariosView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = HistoricalScenarioSerializer
    filter_backends = []

    @extend_schema(responses=HistoricalScenarioSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The historical scenarios that a stress test takes by name, oldest first."""
        refuse_unknown_parameters(request, PAGE_PARAMETERS - {"ordering"})
        rows: Any = list(SCENARIOS.values())
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class MetricsFilter(filters.FilterSet):
    start = filters.DateFilter(field_name="as_of", lookup_expr="gte")
    end = filters.DateFilter(field_name="as_of", lookup_expr="lte")

    class Meta:
        model = RiskMetric
        fields = ["start", "end", "method", "confidence"]


class MetricsView(ListModelMixin, ApiView):
    roles = {"GET": Viewer}
    serializer_class = RiskMetricSerializer
    filterset_class = MetricsFilter
    ordering_fields = ["timestamp", "as_of", "var"]
    queryset = RiskMetric.objects.none()

    def get_queryset(self) -> QuerySet[RiskMetric]:
        portfolio = get_visible_portfolio(self.request.user, self.kwargs["portfolio_id"])
        return RiskMetric.objects.filter(portfolio=portfolio)

    def get(self, request: Request, portfolio_id: str) -> Response:
        """Stored figures of a portfolio, newest first; `start` and `end` bound `as_of`.

        Equal requests are answered from the cache until another figure is stored: `X-Cache` says how.
        """
        get_visible_portfolio(request.user, portfolio_id)  # before the cache is asked, which knows no users
        page = metrics_page.ask(self, request)
        return Response(page.value, headers=page.headers)


def _version_of_metrics(view: MetricsView, request: Request) -> str:
    """Changes with every row that is stored; by the count as well, because ids are not committed in their order."""
    stored = RiskMetric.objects.filter(portfolio=view.kwargs["portfolio_id"]).aggregate(Count("pk"), Max("pk"))
    return f"{stored['pk__count']}-{stored['pk__max'] or 0}"


def _address(view: MetricsView, request: Request) -> str:
    return request.build_absolute_uri()  # as in the links to other pages


@cached_result(prefix="risk", name="metrics", version=_version_of_metrics, key=_address)
def metrics_page(view: MetricsView, request: Request) -> Any:
    return json.loads(JSONRenderer().render(view.list(request).data))
