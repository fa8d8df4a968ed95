"""Which of the platform's processes writes a line."""

import os
import sys
from collections.abc import Mapping, Sequence

_name = ""


def process_name() -> str:
    """As in the Procfile, `web`; of a Celery worker `risk-worker@host`."""
    global _name
    if not _name:
        _name = name_of_process(os.environ, sys.argv)
    return _name


def set_process_name(name: str) -> None:
    global _name
    _name = name


def name_of_process(environment: Mapping[str, str], arguments: Sequence[str]) -> str:
    """By NAUTILUS_PROCESS, what supervisor says, or the command line."""
    said = environment.get("NAUTILUS_PROCESS") or environment.get("SUPERVISOR_PROCESS_NAME")
    return said or _of_command(arguments) or "python"


def _of_command(arguments: Sequence[str]) -> str:
    program = os.path.basename(arguments[0]) if arguments else ""
    words = [word for word in arguments[1:] if not word.startswith("-")]
    if program == "manage.py" and words:
        return words[0]
    if program in ("celery", "__main__.py") and (known := {"worker", "beat", "flower"} & set(words)):
        return known.pop()
    return program.removesuffix(".py")
