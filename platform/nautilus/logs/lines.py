"""A log record as one line: strict JSON, or text for a person at a terminal."""

import json
import logging
import math
import os
import socket
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from nautilus.logs.fields import FIELDS
from nautilus.logs.ids import current_ids
from nautilus.logs.masking import Masking
from nautilus.logs.process import process_name
from nautilus.logs.spans import current_span

Line = MutableMapping[str, Any]

_FORMATTER = logging.Formatter()
_HOST = socket.gethostname()
_NONE: dict[str, Any] = {}
_ESCAPED_NUL = "\\u0000"
# What a person at a terminal of one machine knows already.
_LEFT_OUT_OF_TEXT = ("timestamp", "level", "logger", "event", "process", "pid", "host", "exception")


class Fields:
    """A structlog processor: the fields of a line in their order, of a record of `logging` or of structlog."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> Line:
        record: logging.LogRecord = event.pop("_record")
        event.pop("_from_structlog")
        exc_info, stack_info = event.pop("exc_info", None), event.pop("stack_info", None)
        said = {"event": event.pop("event", ""), **event, **getattr(record, FIELDS, _NONE)}
        if exc_info:
            said["exception"] = _traceback(exc_info)
        if stack_info:
            said["stack"] = stack_info
        return {
            "timestamp": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._masking.line(said),
            **current_ids(),
            "process": process_name(),
            "pid": os.getpid(),
            "host": _HOST,
            **current_span(),
        }


def as_json(_logger: Any, _method: str, line: Line) -> str:
    """One line of strict JSON: no NaN, no Infinity, no NUL, no half of a surrogate pair."""
    try:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(line), ensure_ascii=False)
    if _ESCAPED_NUL in text:
        text = json.dumps(_finite(line), ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def as_text(_logger: Any, _method: str, line: Line) -> str:
    """`2026-01-31T12:00:00.000Z INFO apps.tasks.execution: what happened [request_id=…]`, a traceback below it."""
    fields = " ".join(f"{name}={value}" for name, value in line.items() if name not in _LEFT_OUT_OF_TEXT)
    head = f"{line['timestamp']} {line['level'].upper()} {line['logger']}: {line['event']}"
    parts = [f"{head} [{fields}]" if fields else head, line.get("exception")]
    return "\n".join(part for part in parts if part).encode("utf-8", "replace").decode()


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(exc_info: Any) -> str:
    try:
        if isinstance(exc_info, BaseException):
            exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
        elif not isinstance(exc_info, tuple):
            exc_info = sys.exc_info()
        return _FORMATTER.formatException(exc_info)
    except Exception as error:  # billiard's tracebacks are no real ones
        return f"{exc_info!r} (its traceback cannot be shown: {error})"


def _finite(value: Any) -> Any:
    """The same with words for numbers that JSON does not have, and without NUL."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {_finite(str(name)): _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
