"""`GET /metrics`: contract section 10."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.request import Request
from rest_framework.settings import api_settings

from apps.operations.metrics.access import MayScrape, ScraperAuthentication
from apps.operations.metrics.exposition import as_text, metrics_text
from apps.operations.metrics.sources.machine import process
from nautilus.api.errors import DomainError
from nautilus.api.views import ApiView


class UnknownPartError(DomainError):
    code = "unknown_part"


class MetricsView(ApiView):
    authentication_classes: Any = [ScraperAuthentication, *api_settings.DEFAULT_AUTHENTICATION_CLASSES]
    permission_classes = [MayScrape]

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "part", str, enum=["process"], description="The answering process alone, without any store"
            )
        ],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> Any:
        """Figures of all processes, in Prometheus' text format; within 2 s also where a store hangs."""
        text = as_text(process()) if _asked_part(request) == "process" else metrics_text()
        return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Whatever is asked for: Prometheus names several types, and the answer tells its own."""
        return super().perform_content_negotiation(request, force=True)


def _asked_part(request: Request) -> str | None:
    part = request.query_params.get("part")
    if part not in (None, "process"):
        raise UnknownPartError(f"part is {part[:40]!r}.", "Expected 'process', or no part for all figures.", "part")
    return part
