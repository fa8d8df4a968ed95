"""`/api/v1/sprint3/risk` and `/analytics/risk`: contract section 5, as far as it is built."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import get_visible_portfolio
from apps.risk import analysis
from apps.risk.inputs import submit_risk
from apps.risk.models import RiskMetric
from apps.risk.serializers.analysis import AnalyzeSerializer, RiskMetricSerializer
from apps.tasks.api import AcceptedSerializer, accepted
from nautilus.api.access import Trader, Viewer
from nautilus.api.views import ApiView


class AnalyzeView(ApiView):
    roles = {"POST": Trader}
    serializer_class = AnalyzeSerializer

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        """Compute VaR and expected shortfall of a portfolio."""
        parameters = self.validated_json(request)
        portfolio = get_visible_portfolio(request.user, parameters["portfolio_id"])
        return accepted(submit_risk(analysis.KIND, portfolio, parameters, request.user))


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
        """Stored figures of a portfolio, newest first; `start` and `end` bound `as_of`."""
        return self.list(request)
