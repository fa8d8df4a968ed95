from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from apps.operations.health import is_healthy


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Open to all, and says no more than they need: a load balancer's probe."""
    healthy = is_healthy()
    return JsonResponse({"status": "healthy" if healthy else "unhealthy"}, status=200 if healthy else 503)
