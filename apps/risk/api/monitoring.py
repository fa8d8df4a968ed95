"""`/risk/monitoring/*` and `/risk/limits/monitoring/status`: contract section 5."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import visible_portfolios
from apps.portfolios.models import Portfolio
from apps.risk.monitoring import monitor_freshness, shown_counts, start_monitoring, stop_monitoring
from apps.risk.serializers.monitoring import LimitMonitoringSerializer, MonitoringStatusSerializer
from nautilus.api.access import ViewerOrOperator, has_role, roles_of
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.serializers import StrictSerializer
from nautilus.api.views import ApiView


class RiskManagerOrOperator(BasePermission):
    message = "This needs the role 'risk_manager' or 'operator', which your user does not have."

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool({"risk_manager", "operator"} & roles_of(request.user))


def _status() -> Response:
    return Response(MonitoringStatusSerializer(monitor_freshness()).data)


class MonitoringStatusView(ApiView):
    roles = {"GET": ViewerOrOperator}
    serializer_class = MonitoringStatusSerializer
    filter_backends = []

    def get(self, request: Request) -> Response:
        """Whether limits are monitored now, by the monitor's row and the database's clock."""
        refuse_unknown_parameters(request, {"format"})
        return _status()


class StartMonitoringView(ApiView):
    roles = {"POST": RiskManagerOrOperator}
    serializer_class = StrictSerializer

    @extend_schema(request=None, responses=MonitoringStatusSerializer)
    def post(self, request: Request) -> Response:
        """Monitor limits from the next interval on; 503 where Redis cannot be told, and nothing is changed then."""
        self.validated(request)
        start_monitoring(request.user)
        return _status()


class StopMonitoringView(ApiView):
    roles = {"POST": RiskManagerOrOperator}
    serializer_class = StrictSerializer

    @extend_schema(request=None, responses=MonitoringStatusSerializer)
    def post(self, request: Request) -> Response:
        """Stop monitoring limits, at once; 503 where Redis cannot be told, and nothing is changed then."""
        self.validated(request)
        stop_monitoring(request.user)
        return _status()


class LimitMonitoringView(ApiView):
    roles = {"GET": ViewerOrOperator}
    serializer_class = LimitMonitoringSerializer
    filter_backends = []

    def get(self, request: Request) -> Response:
        """How many limits there are of each status, of the portfolios that the caller may see; of all for operators."""
        refuse_unknown_parameters(request, {"format"})
        sees_all = has_role(request.user, "operator")
        portfolios = Portfolio.objects.all() if sees_all else visible_portfolios(request.user)
        freshness = monitor_freshness()
        counts = shown_counts(portfolios, freshness)
        return Response(self.get_serializer({"freshness": freshness, "counts": counts}).data)
