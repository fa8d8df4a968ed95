"""Files in a request: one multipart field, or the body itself; one that is too large is refused unread."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser, DataAndFiles, MultiPartParser
from rest_framework.request import Request

from apps.portfolios.errors import EmptyFileError, FileTooLargeError, MissingFileError
from nautilus.api.pages import unknown_name

FIELD = "file"

# The boundary and headers around a multipart file.
_WRAPPING_BYTES = 64 * 1024


class _BodyParser(BaseParser):
    """Takes the body as the one file, so that a view need not know how it came."""

    extension = ""

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> DataAndFiles:
        file = SimpleUploadedFile(f"upload.{self.extension}", stream.read(), self.media_type)
        return DataAndFiles(QueryDict(), MultiValueDict({FIELD: [file]}))


class CsvParser(_BodyParser):
    media_type = "text/csv"
    extension = "csv"


class GzipParser(_BodyParser):
    media_type = "application/gzip"
    extension = "csv.gz"


class ParquetParser(_BodyParser):
    media_type = "application/vnd.apache.parquet"
    extension = "parquet"


FILE_PARSERS = [MultiPartParser, CsvParser, GzipParser, ParquetParser]

REQUEST_SCHEMA = {
    "multipart/form-data": {
        "type": "object",
        "properties": {FIELD: {"type": "string", "format": "binary"}},
        "required": [FIELD],
    },
    **{parser.media_type: {"type": "string", "format": "binary"} for parser in (CsvParser, GzipParser, ParquetParser)},
}


def refuse_large_body(request: Request) -> None:
    """By its announced length, before a byte of it is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    limit = settings.IMPORT_MAX_BYTES + _WRAPPING_BYTES
    if not length.isdecimal() or int(length) > limit:
        raise FileTooLargeError(
            f"The request has {length[:20]} bytes; a file of at most {settings.IMPORT_MAX_BYTES} is taken.",
            "Split it into several files.",
        )


def uploaded_file(request: Request) -> tuple[str, bytes]:
    """The name and content of the request's one file. Raises where there is none, or anything else besides."""
    unknown = {name: [unknown_name(name, [FIELD], "field")] for name in request.data if name != FIELD}
    if unknown:
        raise ValidationError(unknown)
    files = request.FILES.getlist(FIELD)
    if not files and request.META.get("CONTENT_LENGTH") in (None, "", "0"):
        raise EmptyFileError("The request has no body.", "Send a CSV with a header and rows, or Parquet.")
    if len(files) != 1:
        raise MissingFileError(
            f"The request has {len(files)} files in the field '{FIELD}'.", "Send one, or the file as the body.", FIELD
        )
    return files[0].name or FIELD, files[0].read()
