"""The builtins of a strategy: Python's, without those that reach out, and with an import that knows what is allowed."""

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

from .allowed import FORBIDDEN_BUILTINS, is_import_allowed
from .watch import Report

_import = builtins.__import__


def builtins_for_strategy(report: Report) -> dict[str, Any]:
    names = {name: value for name, value in vars(builtins).items() if name not in FORBIDDEN_BUILTINS}
    names.update({name: _forbidden(name, report) for name in FORBIDDEN_BUILTINS})
    names["__import__"] = _guarded_import(report)
    return names


def _forbidden(name: str, report: Report) -> Any:
    def forbidden(*arguments: Any, **named: Any) -> None:
        shown = repr(arguments[0])[:80] if arguments and type(arguments[0]) is str else ""
        report(f"{name}({shown})")

    return forbidden


def _guarded_import(report: Report) -> Any:
    def guarded(
        name: str,
        namespace: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        if not _is_from_c(fromlist) and (level or not is_import_allowed(name, tuple(fromlist or ()))):
            report(f"import {name}")
        return _import(name, namespace, local, fromlist, level)

    return guarded


def _is_from_c(fromlist: object) -> bool:
    """C code imports through the builtins of whoever calls it (datetime.strptime its `time`), always with a list."""
    return type(fromlist) is list
