"""JSON bodies: bounded, strict, and of characters that can be stored and sent back."""

import re
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_BODY_BYTES = 4 * 2**20  # 10,000 quotes are below one; parsed JSON takes up to thirty times its text

_SURROGATE = re.compile("[\ud800-\udfff]")


class StrictJSONParser(JSONParser):
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        request = (parser_context or {})["request"]
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        if length > MAX_BODY_BYTES:
            from nautilus.api.errors import BodyTooLargeError  # it needs the views, whose settings name this module

            raise BodyTooLargeError(
                f"The body has {length:,} bytes; a JSON body has at most {MAX_BODY_BYTES:,}.",
                "Send less at once, or a file to an import.",
            )
        try:
            data = super().parse(stream, media_type, parser_context)
            _refuse_what_is_no_text(data)
        except RecursionError as error:
            raise ParseError("The body is nested too deep.") from error
        return data


def _refuse_what_is_no_text(value: Any) -> None:
    """Half of a surrogate pair is valid JSON and no character: it cannot be stored, nor named in an error."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_what_is_no_text(key)
            _refuse_what_is_no_text(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_what_is_no_text(item)
    elif isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
        raise ParseError("The body holds half of a surrogate pair (\\ud800 to \\udfff), which is no character.")
