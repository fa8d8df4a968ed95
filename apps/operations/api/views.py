import time
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.operations.api.credentials import CannotTellError, HealthAuthentication
from apps.operations.api.serializers import EXAMPLE, HealthSerializer
from apps.operations.findings import Health, Status
from apps.operations.health import ANALYTICS, RISK, body_of, health_body, is_healthy
from apps.operations.running import CHECK_SECONDS, ComponentHealth
from apps.operations.stores import database_hangs
from nautilus.api.access import ViewerOrOperator, has_role, sees_every_portfolio
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Open to all, and says no more than they need: a load balancer's probe."""
    healthy = is_healthy()
    return JsonResponse({"status": "healthy" if healthy else "unhealthy"}, status=200 if healthy else 503)


class HealthView(ApiView):
    """503 where anything that clients or the desk rely on does not work; a body always."""

    roles = {"GET": ViewerOrOperator}
    authentication_classes = [HealthAuthentication]
    serializer_class = HealthSerializer
    filter_backends = []
    components: tuple[str, ...] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.began = time.monotonic()
        super().initial(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """Who asks is not known where the database is away: that much, and nothing else, is told."""
        return answer(_database_away()) if isinstance(exc, CannotTellError) else super().handle_exception(exc)

    def tell(self, request: Request) -> Response:
        refuse_unknown_parameters(request, {"format"})
        left_seconds = CHECK_SECONDS - (time.monotonic() - self.began)
        with_names = has_role(request.user, "operator") or sees_every_portfolio(request.user)
        return answer(health_body(self.components, seconds=left_seconds, with_names=with_names))


def answer(body: dict[str, Any]) -> Response:
    return Response(body, status=503 if body["status"] == Status.UNHEALTHY else 200)


def _database_away() -> dict[str, Any]:
    away = Health("not reached", (database_hangs(),))
    return body_of({"database": ComponentHealth(away, 0.0)})


_documented = extend_schema(responses={200: HealthSerializer, 503: HealthSerializer}, examples=[EXAMPLE])


class SystemHealthView(HealthView):
    @_documented
    def get(self, request: Request) -> Response:
        """How every component does, within 2 s; 503 where one is unhealthy."""
        return self.tell(request)


class RiskHealthView(HealthView):
    components = RISK

    @_documented
    def get(self, request: Request) -> Response:
        """How what risk figures and limits stand on does; 503 where a component is unhealthy."""
        return self.tell(request)


class AnalyticsHealthView(HealthView):
    components = ANALYTICS

    @_documented
    def get(self, request: Request) -> Response:
        """How live figures do; 503 where a component is unhealthy."""
        return self.tell(request)
