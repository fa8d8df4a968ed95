"""A path with a trailing slash answers the same as the one without (contract section 1)."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

SLASHLESS_ROOTS = ("/api/", "/health", "/metrics")


class TrailingSlashMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.endswith("/") and request.path_info.startswith(SLASHLESS_ROOTS):
            request.path_info = request.path_info.rstrip("/")
        return self.get_response(request)
