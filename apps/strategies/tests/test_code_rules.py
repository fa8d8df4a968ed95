"""The rules for a strategy's code, read without running any of it."""

import pytest

from apps.strategies.sandbox import CodeRefusedError, code_faults, imported_modules

HONEST = '''
"""Momentum."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.optimize
from collections.abc import Iterable
from scipy import linalg


@dataclass
class Window:
    days: int

    def __post_init__(self) -> None:
        self._half = self.days / 2

    def of(self, prices):
        return prices.tail(math.ceil(self._half))


def target_weights(prices, params):
    scores = Window(params["days"]).of(prices).pct_change().mean()
    return (scores / scores.abs().sum()).to_dict()
'''

BODY = "def target_weights(prices, params):\n    return {}\n"


def codes(code: str) -> list[tuple[int, str]]:
    return [(fault.line, fault.code) for fault in code_faults(code)]


def test_honest_code_has_no_fault() -> None:
    assert code_faults(HONEST) == []


def test_code_that_is_no_python_has_its_line() -> None:
    assert codes("x = 1\nif:\n") == [(2, "syntax")]


@pytest.mark.parametrize("code", ["x = '\0'", "(" * 3000 + ")" * 3000], ids=["a NUL", "deep brackets"])
def test_code_that_cannot_be_parsed_is_a_fault_not_an_error(code: str) -> None:
    assert codes(code) == [(1, "syntax")]


def test_code_of_100_kilobytes_is_taken_and_one_byte_more_is_not() -> None:
    fits = BODY + "#" * (100_000 - len(BODY))
    assert codes(fits) == []
    assert codes(fits + "#") == [(1, "code_too_large")]


@pytest.mark.parametrize(
    "code",
    [
        "def target_weights(prices):\n    return {}",
        "def target_weights(prices, params, more):\n    return {}",
        "def target_weights(prices, params=None):\n    return {}",
        "def target_weights(*prices):\n    return {}",
        "def target_weights(prices, params, *, more):\n    return {}",
        "def target_weights(prices, params, **more):\n    return {}",
        "async def target_weights(prices, params):\n    return {}",
        "class target_weights:\n    pass",
        BODY + "\ndef target_weights(prices):\n    return {}",
    ],
)
def test_signature_that_is_not_prices_and_params_is_refused(code: str) -> None:
    assert [code for _, code in codes(code)] == ["bad_signature"]


def test_function_that_is_not_at_the_top_is_not_there() -> None:
    assert codes("class A:\n    def target_weights(self, params):\n        return {}\n") == [(1, "no_target_weights")]


def test_other_names_of_the_two_parameters_are_taken() -> None:
    assert codes("def target_weights(p, _):\n    return {}\n") == []


@pytest.mark.parametrize(
    "line",
    [
        "import os", "import os.path", "import numpy.ctypeslib", "import pandas.io.common", "import scipy",
        "import scipy.io", "from os import path", "from pandas.io import sql", "from . import other",
        "from .. import other", "from numpy import ctypeslib", "from pandas import io", "from dataclasses import sys",
        "from collections import _sys", "import numpy, socket", "from scipy import io",
    ],
)  # fmt: skip
def test_import_of_what_is_not_allowed_is_refused(line: str) -> None:
    assert set(codes(f"{line}\n{BODY}")) == {(1, "forbidden_import")}


def test_refused_import_says_what_is_allowed() -> None:
    assert "scipy.linalg" in code_faults(f"import scipy\n{BODY}")[0].detail
    assert "numpy" in code_faults(f"import requests\n{BODY}")[0].detail


def test_star_is_refused() -> None:
    assert codes(f"from numpy import *\n{BODY}") == [(1, "star_import")]


@pytest.mark.parametrize(
    "name",
    ["open", "eval", "exec", "compile", "globals", "locals", "vars", "getattr", "setattr", "delattr", "input",
     "breakpoint", "__import__", "__builtins__", "memoryview"],
)  # fmt: skip
def test_name_that_reaches_out_is_refused_even_where_it_is_only_named(name: str) -> None:
    assert codes(f"{BODY}\nf = {name}\n") == [(4, "forbidden_name")]


@pytest.mark.parametrize(
    "expression",
    ["x.__class__", "x.__subclasses__()", "f.__globals__", "x.__dict__", "np.ctypeslib", "x.ctypes", "pd.read_csv('a')",
     "pd.read_anything('a')", "x.to_csv('a')", "x.to_pickle('a')", "np.load('a')", "x.tofile('a')", "x.eval('a')",
     "pd.io", "x._mgr", "g.gi_frame", "e.tb_frame", "x.query('a > 1')", "self.__class__"],
)  # fmt: skip
def test_attribute_that_reaches_out_is_refused(expression: str) -> None:
    assert codes(f"{BODY}\ny = {expression}\n") == [(4, "forbidden_attribute")]


def test_faults_come_by_line() -> None:
    code = f"import os\n{BODY}\nopen('a')\nx.__class__\n"
    assert codes(code) == [(1, "forbidden_import"), (5, "forbidden_name"), (6, "forbidden_attribute")]


def test_error_of_faults_names_each_with_its_line() -> None:
    error = CodeRefusedError(code_faults(f"import os\n{BODY}\nopen('a')\n"))
    assert error.as_dict()["code"] == "strategy_code_refused"
    assert [each["code"] for each in error.as_dict()["errors"]] == ["forbidden_import", "forbidden_name"]
    assert error.as_dict()["errors"][1]["detail"].startswith("Line 5: ")


def test_error_of_one_fault_has_its_code() -> None:
    assert CodeRefusedError(code_faults(f"import os\n{BODY}")).code == "forbidden_import"


def test_imported_modules_are_named_with_their_allowed_parts() -> None:
    assert imported_modules(HONEST) == (
        "__future__", "collections.abc", "dataclasses", "math", "numpy", "pandas", "scipy.linalg", "scipy.optimize",
    )  # fmt: skip


def test_imports_inside_functions_are_found() -> None:
    assert imported_modules("def f():\n    from scipy import stats\n    import os\n") == ("os", "scipy.stats")


def test_code_that_is_no_python_imports_nothing() -> None:
    assert imported_modules("if:") == ()
