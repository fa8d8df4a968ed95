"""Pages and what they are made of, compressed; where nginx stands in front, it has done so already."""

from django.http import HttpRequest, HttpResponseBase
from django.middleware.gzip import GZipMiddleware

ANSWERS_OF_PROGRAMS = ("/api/", "/health", "/metrics")


class CompressPages(GZipMiddleware):
    """Not the API: its clients are near, and each answer would cost more time than it saves."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path.startswith(ANSWERS_OF_PROGRAMS):
            return response
        return super().process_response(request, response)
