"""What a strategy can see: the past, and nothing else."""

import numpy as np
import pytest

from apps.strategies.sandbox import (
    BadWeightsError,
    ForbiddenError,
    LimitExceededError,
    Limits,
    Sandbox,
    StrategyRaisedError,
    process,
)
from apps.strategies.tests.sandbox_markets import (
    LIMITS,
    MOMENTUM,
    SYMBOLS,
    Closes,
    answer,
    days_from_2021,
    market,
    wait_until,
)


def test_future_that_changes_leaves_the_weights_of_every_day() -> None:
    days, closes = market(40)
    other = np.vstack([closes[:30], closes[30:] * np.random.default_rng(1).uniform(0.5, 2, (10, 4))])

    def until_day_30(rows: Closes) -> list[dict[str, float]]:
        with Sandbox(MOMENTUM, {"days": 5}, SYMBOLS, LIMITS) as sandbox:
            sandbox.feed(days[:10], rows[:10])
            answers = []
            for day in range(10, 40):
                answers.append(sandbox.target_weights().weights)
                sandbox.feed(days[day : day + 1], rows[day : day + 1])
            return answers

    first, second = until_day_30(closes), until_day_30(other)
    assert first[:21] == second[:21]
    assert first[21:] != second[21:]


SEARCH = """
import collections
import numpy as np
gc = collections._sys.modules["gc"]

def target_weights(prices, params):
    arrays = [each for each in reached(gc.get_objects()) if type(each) is np.ndarray and each.dtype == np.float64]
    arrays += bases(prices.to_numpy()) + [base for each in arrays for base in bases(each)]
    return {"XOM": min(sum(int((each == 77_777.0).sum()) for each in arrays), 100)}

def reached(seen):
    for each in list(seen):
        yield each
        yield from gc.get_referents(each)

def bases(array):
    found = []
    while type(array) is np.ndarray:
        found.append(array)
        array = array.base
    return found
"""


def test_search_through_all_memory_finds_no_row_that_is_not_due() -> None:
    with Sandbox(SEARCH, {}, SYMBOLS, LIMITS) as sandbox:
        days, closes = days_from_2021(20), np.full((20, 4), 100.0)
        closes[10:] = 77_777.0
        sandbox.feed(days[:10], closes[:10])
        before = sandbox.target_weights().weights["XOM"]
        sandbox.feed(days[10:11], closes[10:11])
        after = sandbox.target_weights().weights["XOM"]
    assert before == 0
    assert after >= 4  # the search does find the four closes once they are there


def test_pipe_holds_no_row_before_it_is_due() -> None:
    code = 'import collections\ndef target_weights(prices, params):\n    collections._sys.modules["os"].read(0, 1)\n'
    with Sandbox(code, {}, SYMBOLS, Limits(wall_seconds=1.0)) as sandbox:
        sandbox.feed(*market(3))
        with pytest.raises(LimitExceededError):
            sandbox.target_weights()


def test_call_that_changes_its_prices_and_params_leaves_those_of_the_next() -> None:
    code = """
def target_weights(prices, params):
    seen = prices.iloc[-1, 0] + params["deep"]["value"]
    prices.iloc[:] = -1.0
    params["deep"]["value"] = -1.0
    return {"XOM": seen / 1000}
"""
    with Sandbox(code, {"deep": {"value": 3.0}}, SYMBOLS, LIMITS) as sandbox:
        sandbox.feed(*market(5))
        first, second = sandbox.target_weights().weights, sandbox.target_weights().weights
    assert first == second == {"XOM": (market(5)[1][-1, 0] + 3.0) / 1000}


def test_globals_of_one_call_are_not_there_in_the_next() -> None:
    code = "calls = []\ndef target_weights(prices, params):\n    calls.append(1)\n    return {'XOM': len(calls)}\n"
    with Sandbox(code, {}, SYMBOLS, LIMITS) as sandbox:
        sandbox.feed(*market(5))
        assert [sandbox.target_weights().weights["XOM"] for _ in range(3)] == [1.0, 1.0, 1.0]


def test_library_that_a_call_has_changed_still_shows_no_future() -> None:
    code = """
import numpy as np
def target_weights(prices, params):
    rows = np.kept = [*(np.kept if "kept" in dir(np) else []), len(prices)]
    return {"XOM": len(rows), "JNJ": max(rows)}
"""
    days, closes = market(7)
    with Sandbox(code, {}, SYMBOLS, LIMITS) as sandbox:
        sandbox.feed(days[:5], closes[:5])
        sandbox.target_weights()
        assert sandbox.target_weights().weights == {"XOM": 2.0, "JNJ": 5.0}
        sandbox.feed(days[5:6], closes[5:6])
        assert sandbox.target_weights().weights == {"XOM": 3.0, "JNJ": 6.0}


def test_environment_holds_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAUTILUS_CANARY", "canary-of-the-environment")
    code = """
import collections
def target_weights(prices, params):
    print(sorted(collections._sys.modules["os"].environ))
    return {}
"""
    assert answer(code).printed.strip() == str(sorted(process.ENVIRONMENT))


FORGE = """
import collections, json
os = collections._sys.modules["os"]
def forge(header):
    text = json_text(header)
    os.write(1, len(text).to_bytes(4, "big") + bytes(8) + text)
def json_text(header):
    return collections._sys.modules["json"].dumps(header).encode()
def target_weights(prices, params):
    forge({header})
    return {{}}
""".replace("import collections, json", "import collections")


@pytest.mark.parametrize(
    ("header", "error", "says"),
    [
        ('{"kind": "answer", "weights": [["XOM", float("nan")]]}', BadWeightsError, "nan"),
        ('{"kind": "answer", "weights": [["XOM", 1e9]]}', BadWeightsError, "1e+09"),
        ('{"kind": "answer", "weights": [["XOM", 10 ** 400]]}', BadWeightsError, "too large for a float"),
        ('{"kind": "answer", "weights": [["XOM"]]}', BadWeightsError, "no symbol with its weight"),
        ('{"kind": "answer", "weights": {"XOM": 1}}', BadWeightsError, "answered with"),
        ('{"kind": "answer", "weights": [[["XOM"], 1]]}', BadWeightsError, "no symbol with its weight"),
        ('{"kind": "locked"}', ForbiddenError, "the pipe of its answers"),
        ('{"kind": 3}', ForbiddenError, "the pipe of its answers"),
        ('{"kind": "limit", "which": "nothing"}', ForbiddenError, "the pipe of its answers"),
        ('{"kind": "raised", "type": "E" * 10**5, "line": "x"}', StrategyRaisedError, "EEE"),
    ],
)
def test_forged_answer_is_checked_like_any_other(header: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        answer(FORGE.format(header=header))
    assert says in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_answer_given_before_it_was_asked_for_is_refused() -> None:
    with Sandbox(FORGE.format(header='{"kind": "answer", "weights": []}'), {}, SYMBOLS, LIMITS) as sandbox:
        sandbox.feed(*market(3))
        assert sandbox.target_weights().weights == {}
        wait_until(lambda: sandbox._running().has_more())
        with pytest.raises(ForbiddenError, match="the pipe of its answers"):
            sandbox.target_weights()
