"""Django middleware: every request has an id, in its answer as well, and one line when it is answered."""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from nautilus.logs.fields import FIELDS
from nautilus.logs.ids import begin_ids, bind_ids, forget_ids, request_id_of

HEADER = "X-Request-ID"
# What load balancers and Prometheus ask for every few seconds.
PROBES = ("/health", "/metrics")

logger = logging.getLogger("nautilus.requests")


class RequestLog:
    """The outermost middleware. The ids stay until the answer is closed, behind Django's own last lines."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        request_id = request_id_of(request.headers.get(HEADER))
        begin_ids(request_id=request_id)
        response = self._get_response(request)
        response.headers[HEADER] = request_id
        bind_ids(user_id=_user_id(request))
        level = logging.DEBUG if request.path in PROBES else logging.INFO
        if logger.isEnabledFor(level):
            fields = {"status": response.status_code, "duration_ms": round((time.perf_counter() - began) * 1000, 1)}
            logger.log(level, "%s %s %d", request.method, request.path, response.status_code, extra={FIELDS: fields})
        return response


def _user_id(request: HttpRequest) -> Any:
    """Of whom the view knows already: nobody is looked up for a log line."""
    user = getattr(request, "user", None)
    if type(user) is SimpleLazyObject:
        user = getattr(request, "_cached_user", None)
    return getattr(user, "pk", None)


def _forget(**_: Any) -> None:
    forget_ids()


request_finished.connect(_forget, dispatch_uid="nautilus.logs.requests")
