"""Honest strategies in the sandbox, and answers that are no weights."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.strategies.sandbox import (
    BadWeightsError,
    Limits,
    Sandbox,
    StrategyRaisedError,
)
from apps.strategies.sandbox.inside.prices import prices_frame
from apps.strategies.tests.sandbox_markets import (
    LIMITS,
    MINIMUM_VARIANCE,
    MOMENTUM,
    OPTIMIZED,
    SYMBOLS,
    answer,
    days_from_2021,
    market,
    returning,
)


@pytest.mark.parametrize("code", [MOMENTUM, MINIMUM_VARIANCE, OPTIMIZED], ids=["momentum", "variance", "scipy"])
def test_weights_equal_the_same_function_called_directly(code: str) -> None:
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    expected = dict(namespace["target_weights"](prices_frame(*market(300), SYMBOLS), {"days": 60}))
    assert answer(code, {"days": 60}).weights == expected


def test_prices_are_days_by_symbols_with_their_dates_and_gaps() -> None:
    code = """
def target_weights(prices, params):
    print(type(prices).__name__, prices.shape, list(prices.columns), prices.index[0].date(), prices.index[-1].date())
    print(type(prices.index).__name__, set(map(str, prices.dtypes)), int(prices.isna().sum().sum()))
    return {}
"""
    days, closes = market(3)
    closes[1, 2] = np.nan
    with Sandbox(code, {}, SYMBOLS, LIMITS) as sandbox:
        sandbox.feed(days, closes)
        printed = sandbox.target_weights().printed
    assert printed == (
        "DataFrame (3, 4) ['AAPL', 'MSFT', 'XOM', 'JNJ'] 2021-01-01 2021-01-03\nDatetimeIndex {'float64'} 1\n"
    )


def test_strategy_sees_the_latest_days_of_history_only() -> None:
    code = "def target_weights(prices, params):\n    return {'XOM': len(prices), 'JNJ': prices.index[0].day}\n"
    with Sandbox(code, {}, SYMBOLS, Limits(history_days=5)) as sandbox:
        sandbox.feed(*market(20))
        assert sandbox.target_weights().weights == {"XOM": 5, "JNJ": 16}
        days, closes = market(21)
        sandbox.feed(days[20:], closes[20:])
        assert sandbox.target_weights().weights == {"XOM": 5, "JNJ": 17}


def test_rows_fed_one_by_one_give_the_same_as_all_at_once() -> None:
    days, closes = market(80)
    with Sandbox(MOMENTUM, {"days": 60}, SYMBOLS, LIMITS) as sandbox:
        for day in range(80):
            sandbox.feed(days[day : day + 1], closes[day : day + 1])
        assert sandbox.target_weights().weights == answer(MOMENTUM, {"days": 60}, days=80).weights


def test_rows_of_another_shape_are_refused_with_both_shapes() -> None:
    with Sandbox(MOMENTUM, {}, SYMBOLS, LIMITS) as sandbox, pytest.raises(ValueError, match=r"\(3, 2\).*\(3, 4\)"):
        sandbox.feed(days_from_2021(3), np.ones((3, 2)))


def test_dataclasses_generators_and_printing_work_as_elsewhere() -> None:
    code = """
from __future__ import annotations
import statistics
from dataclasses import dataclass, field

@dataclass(frozen=True)
class Weight:
    symbol: str
    value: float = field(default=0.25)

def target_weights(prices: "DataFrame", params: dict) -> dict[str, float]:
    weights = [Weight(each) for each in prices]
    print("mean", statistics.fmean(each.value for each in weights))
    return {each.symbol: each.value for each in weights}
"""
    result = answer(code)
    assert result.weights == dict.fromkeys(SYMBOLS, 0.25)
    assert result.printed == "mean 0.25\n"


def test_warning_of_a_library_is_printed() -> None:
    assert "RuntimeWarning: " in answer(returning("{} if np.log(-1.0) else {}")).printed


def test_printing_without_measure_is_cut_and_counted() -> None:
    printed = answer(returning("print('x' * 3_000_000) or {}")).printed
    assert printed.startswith("x" * 10_000)
    assert printed[10_000:] == "\n… 2,990,001 more characters were printed"


def test_printed_text_that_a_database_does_not_take_is_mended() -> None:
    printed = answer(returning("print('a\\0b', '\\ud800') or {}")).printed
    assert printed == "a\N{REPLACEMENT CHARACTER}b ?\n"


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("{'AAPL': float('nan')}", "The weight of AAPL is nan"),
        ("{'MSFT': float('inf')}", "The weight of MSFT is inf"),
        ("{'MSFT': -np.inf}", "The weight of MSFT is -inf"),
        ("{'MSFT': 10 ** 400}", "The weight of MSFT is inf"),
        ("pd.Series({'AAPL': 0.5, 'XOM': np.nan})", "The weight of XOM is nan"),
        ("{'AAPL': 100.5}", "The weight of AAPL is 100.5, more than 100 times"),
        ("{'AAPL': True}", "The weight of AAPL is a bool"),
        ("{'AAPL': np.bool_(True)}", "The weight of AAPL is a bool"),
        ("{'AAPL': '0.5'}", "The weight of AAPL is a str"),
        ("{'AAPL': None}", "The weight of AAPL is None"),
        ("{'AAPL': 1j}", "The weight of AAPL is a complex"),
        ("{'AAPL': [0.5]}", "The weight of AAPL is a list"),
        ("{'APPL': 0.5}", "'APPL' is none of the 4 symbols"),
        ("{3: 0.5}", "'3' is none of the 4 symbols"),
        ("pd.Series([0.1, 0.2], index=['XOM', 'XOM'])", "XOM has two weights"),
        ("[0.5, 0.5]", "answered with a list"),
        ("prices", "answered with a DataFrame"),
        ("None", "answered with None"),
    ],
)
def test_bad_weights_are_refused_with_the_symbol(expression: str, says: str) -> None:
    with pytest.raises(BadWeightsError) as caught:
        answer(returning(expression))
    assert says in str(caught.value)


def test_unknown_symbol_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadWeightsError) as caught:
        answer(returning("{'APPL': 0.5}"))
    assert "'AAPL'" in caught.value.remedy


@pytest.mark.parametrize(
    ("expression", "weights"),
    [
        ("{}", {}),
        ("{'XOM': 1}", {"XOM": 1.0}),
        ("{'XOM': np.float32(0.5), 'JNJ': np.int64(-2)}", {"XOM": 0.5, "JNJ": -2.0}),
        ("{'XOM': 100, 'JNJ': -100}", {"XOM": 100.0, "JNJ": -100.0}),
    ],
)
def test_numbers_of_every_kind_are_weights(expression: str, weights: dict[str, float]) -> None:
    assert answer(returning(expression)).weights == weights


def test_sandbox_goes_on_after_bad_weights_and_after_an_error() -> None:
    code = """
def target_weights(prices, params):
    if len(prices) == 1:
        return {"nothing": 1.0}
    if len(prices) == 2:
        print("just before")
        raise ValueError("two days are too few")
    return {"XOM": 1.0}
"""
    days, closes = market(3)
    with Sandbox(code, {}, SYMBOLS, LIMITS) as sandbox:
        sandbox.feed(days[:1], closes[:1])
        with pytest.raises(BadWeightsError):
            sandbox.target_weights()
        sandbox.feed(days[1:2], closes[1:2])
        with pytest.raises(StrategyRaisedError) as caught:
            sandbox.target_weights()
        sandbox.feed(days[2:], closes[2:])
        assert sandbox.target_weights().weights == {"XOM": 1.0}
    error = caught.value
    assert (error.type, error.message, error.line) == ("ValueError", "two days are too few", 7)
    assert error.printed == "just before\n"


def test_frame_given_is_a_copy_of_its_own() -> None:
    days, closes = market(3)
    frame = prices_frame(days, closes, SYMBOLS)
    frame.iloc[0, 0] = -1.0
    assert closes[0, 0] != -1.0
    assert isinstance(frame.index, pd.DatetimeIndex)
