"""Pages and what they are made of, compressed. nginx, where it stands in front, passes on what it is given."""

import gzip
from typing import cast

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers

ANSWERS_OF_PROGRAMS = ("/api/", "/health", "/metrics")
# Fonts and pictures are compressed as they are.
COMPRESSIBLE = ("text/", "application/javascript", "application/json", "image/svg+xml")
KEPT_FILES = 256  # a page has some 20; of all that the admin and Swagger have, most are never asked for
WORTHWHILE_BYTES = 200

_compressed: dict[tuple[str, str], bytes] = {}  # by path and ETag


class CompressPages(GZipMiddleware):
    """Not the API: its clients are near, and each answer would cost more time than it saves."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path.startswith(ANSWERS_OF_PROGRAMS):
            return response
        if request.path.startswith(str(settings.STATIC_URL)):
            return _compressed_file(request, response)
        return super().process_response(request, response)


def _compressed_file(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """A static file; compressed when it is asked for first, and kept for as long as it does not change.

    The ETag stays that of the file, as with files that WhiteNoise finds compressed: made weak it would never be
    recognized, and every page would load everything anew once a minute.
    """
    if not _is_compressible(response):
        return response
    patch_vary_headers(response, ("Accept-Encoding",))
    if request.method == "GET" and re_accepts_gzip.search(request.headers.get("Accept-Encoding", "")):
        file = cast(FileResponse, response)
        content = _kept(request.path, response["ETag"], file)
        file.streaming_content = (content,)
        file["Content-Length"] = str(len(content))
        file["Content-Encoding"] = "gzip"
    return response


def _is_compressible(response: HttpResponseBase) -> bool:
    whole = response.status_code == 200 and response.streaming and response.has_header("ETag")
    encoded = response.has_header("Content-Encoding")
    large = int(response.get("Content-Length", "0")) >= WORTHWHILE_BYTES
    return whole and not encoded and large and response.get("Content-Type", "").startswith(COMPRESSIBLE)


def _kept(path: str, etag: str, response: FileResponse) -> bytes:
    content = _compressed.get((path, etag))
    if content is None:
        content = _compressed[path, etag] = gzip.compress(b"".join(response), 9, mtime=0)
        while len(_compressed) > KEPT_FILES:
            _compressed.pop(next(iter(_compressed)), None)
    return content
