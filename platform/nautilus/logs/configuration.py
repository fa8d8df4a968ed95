"""How `logging` and structlog are set up: both write through one formatter, to the standard error."""

import logging.config
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from structlog.stdlib import ProcessorFormatter

from nautilus.logs.lines import Fields, as_json, as_text
from nautilus.logs.masking import Masking

FORMATS = {"json": as_json, "text": as_text}
_SECRET_VARIABLES = ("_PASSWORD", "_SECRET_KEY", "_TOKEN", "_AUTH", "_SECRET")


def logging_config(format_name: str, level: str, secrets: Iterable[str | None]) -> dict[str, Any]:
    """Django's LOGGING. `secrets` are values of settings, URLs among them, that no line may hold."""
    known = [*_of_environment(os.environ), *(part for each in secrets for part in _secret_parts(each or ""))]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter, "format_name": format_name, "secrets": known}},
        "filters": {"client_faults": {"()": "nautilus.logs.filters.ClientFaults"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Two lines for each socket that comes are 4,000 when all of them come back.
            "uvicorn.error": {"level": "WARNING", "filters": ["client_faults"]},
            # A refused request has a line of nautilus.requests; a failed one has its traceback here.
            "django.request": {"level": "ERROR"},
            # Granian's own handlers would write lines that are no JSON.
            "_granian": {"handlers": [], "propagate": True},
        },
    }


def formatter(format_name: str, secrets: Iterable[str]) -> ProcessorFormatter:
    return ProcessorFormatter(processors=[Fields(Masking(secrets)), FORMATS[format_name]])


def configure(config: Mapping[str, Any]) -> None:
    """Django's LOGGING_CONFIG; calling it again changes nothing."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(dict(config))
    logging.captureWarnings(True)


def _of_environment(environment: Mapping[str, str]) -> list[str]:
    named = (value for name, value in environment.items() if name.endswith(_SECRET_VARIABLES))
    return [part for value in named for part in _secret_parts(value)]


def _secret_parts(value: str) -> list[str]:
    """Of URLs their passwords, as they stand there and decoded; of `user:password` the password; else the whole."""
    if "://" in value:
        passwords = [urlsplit(url).password or "" for url in value.split(",")]
        return [*passwords, *map(unquote, passwords)]
    return [value, value.partition(":")[2]]
