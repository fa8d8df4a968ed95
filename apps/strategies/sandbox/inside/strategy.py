"""One strategy: its code compiled once, run in a new module for each call, so that a call begins like the first."""

import copy
import sys
import types
from typing import Any

from .allowed import STRATEGY_FILE
from .names import builtins_for_strategy
from .watch import Report

MESSAGE_CHARACTERS = 500


class Strategy:
    """Raises SyntaxError, or ValueError for a NUL, where the code is no Python."""

    def __init__(self, code: str, params: dict[str, Any], report: Report) -> None:
        self._compiled = compile(code, STRATEGY_FILE, "exec", dont_inherit=True)
        self._params = params
        self._report = report

    def call(self, prices: Any) -> dict[str, Any]:
        """An answer's header: `weights` as [symbol, value] pairs, or null and the `type` of what else came back."""
        module = types.ModuleType("strategy")
        sys.modules["strategy"] = module  # dataclasses look there for the names in annotations
        module.__dict__["__builtins__"] = builtins_for_strategy(self._report)
        exec(self._compiled, module.__dict__)  # noqa: S102  this is what the sandbox is for
        function = module.__dict__.get("target_weights")
        if not callable(function):
            raise NameError("there is no function target_weights")  # noqa: TRY004  a name that is missing
        return _as_header(function(prices, copy.deepcopy(self._params)))


def _as_header(answer: Any) -> dict[str, Any]:
    import pandas as pd

    if not isinstance(answer, (dict, pd.Series)):
        return {"kind": "answer", "weights": None, "type": type(answer).__name__}
    return {"kind": "answer", "weights": [[_symbol(key), _number(value)] for key, value in answer.items()]}


def _symbol(key: Any) -> str:
    return key if type(key) is str else repr(key)[:100]


def _number(value: Any) -> Any:
    """A float; what is none goes as the name of its type, for the parent to refuse."""
    import numpy as np

    if isinstance(value, (bool, np.bool_, str)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return {"type": type(value).__name__}
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def as_raised(error: BaseException) -> dict[str, Any]:
    """The header that says what a strategy raised, and in which of its lines."""
    if isinstance(error, MemoryError):
        return {"kind": "limit", "which": "memory"}
    return {"kind": "raised", "type": type(error).__name__, "message": _message(error), "line": _line(error)}


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE_CHARACTERS]
    except BaseException:
        return "(an error that cannot be shown)"


def _line(error: BaseException) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == STRATEGY_FILE:
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == STRATEGY_FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
