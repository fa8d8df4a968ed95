"""`/api/v1/sprint3/analytics`: contract section 7, as far as it is built."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.analytics.performance import latest_performance, submit_performance
from apps.analytics.serializers import PerformanceResultSerializer, PerformanceSerializer
from apps.portfolios.access import get_visible_portfolio
from apps.tasks.api import AcceptedSerializer, accepted
from nautilus.api.access import Trader, Viewer
from nautilus.api.errors import NotFoundError
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView


class PerformanceView(ApiView):
    roles = {"POST": Trader}
    serializer_class = PerformanceSerializer

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        """Compute a portfolio's performance over a period, against a benchmark."""
        parameters = self.validated_json(request)
        portfolio = get_visible_portfolio(request.user, parameters["portfolio_id"])
        return accepted(submit_performance(portfolio, parameters, request.user))


class LatestPerformanceView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = PerformanceResultSerializer

    def get(self, request: Request, portfolio_id: str) -> Response:
        """The latest stored performance; 404 where there is none."""
        refuse_unknown_parameters(request, ())
        portfolio = get_visible_portfolio(request.user, portfolio_id)
        metric = latest_performance(portfolio)
        if metric is None:
            raise NotFoundError(
                f"No performance of {portfolio_id} is stored.",
                "POST /api/v1/sprint3/analytics/performance computes it.",
            )
        return Response({**metric.result, "calculated_at": metric.timestamp, "task_id": metric.task_id})
