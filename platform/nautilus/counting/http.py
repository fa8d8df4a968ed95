"""Requests, counted by the route that answered: a raw path would be a new series for each id that anybody asks for."""

from collections.abc import Callable
from time import perf_counter

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from nautilus.counting.counters import count_in_progress, count_request

METRICS_PATH = "/metrics"

Answer = Callable[[HttpRequest], HttpResponse]


class CountRequests:
    """Middleware, outermost: the time is what the client waits for, all other middleware included."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = perf_counter()
        count_in_progress(1)
        status = 500
        try:
            response = self._get_response(request)
            status = response.status_code
        finally:
            count_in_progress(-1)
            match = request.resolver_match
            count_request(match.route if match else None, request.method, status, perf_counter() - begun)
        return response


class ScrapedByAddress:
    """Middleware: Prometheus finds replicas by DNS, and asks them under their addresses, which are no allowed hosts.

    Of /metrics alone, whose answer does not depend on the Host; and with credentials alone, as the Host is part of what
    lets a local operator in without.
    """

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == METRICS_PATH and "HTTP_AUTHORIZATION" in request.META:
            request.META["HTTP_HOST"] = next(
                (host for host in settings.ALLOWED_HOSTS if "*" not in host and not host.startswith(".")), "localhost"
            )
        return self._get_response(request)
