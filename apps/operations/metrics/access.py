"""Who may scrape: an operator as everywhere, Prometheus by a token of its own, and who is at the machine.

The two latter need no database: where it is away, the metrics that say so must come all the same.
"""

from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from nautilus.api.access import Operator
from nautilus.api.authentication import is_local_operator


class Scraper(AnonymousUser):
    """Prometheus: it may read the metrics and nothing else, as it has no role."""

    is_active: Any = True
    is_authenticated: Any = True


class ScraperAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Scraper, None] | None:
        is_local = is_local_operator(request.META.get("REMOTE_ADDR", ""), request.headers)
        return (Scraper(), None) if is_local or _has_token(request) else None

    def authenticate_header(self, request: Request) -> str:
        """What a refusal says to come with; without it REST framework answers 403 for 401."""
        return "Bearer"


def _has_token(request: Request) -> bool:
    given = request.headers.get("Authorization", "")
    expected = f"Bearer {settings.METRICS_TOKEN}"
    return bool(settings.METRICS_TOKEN) and compare_digest(given.encode(), expected.encode())


class MayScrape(Operator):
    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Scraper) or super().has_permission(request, view)
