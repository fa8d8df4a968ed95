"""The sample strategies: allowed, right by an independent computation, loaded once, and merged as their README says."""

from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from scipy.optimize import minimize
from sklearn.covariance import ledoit_wolf

from apps.portfolios.models import Portfolio
from apps.strategies.errors import StrategyExistsError
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion
from apps.strategies.sample_strategies import Loaded, load_sample_strategies
from apps.strategies.sandbox import Limits, Sandbox, code_faults
from apps.strategies.version_history import rebuild_version_history

FOLDER = settings.ROOT / "sample_data" / "strategies"
FILES = sorted(FOLDER.glob("*/v*.py"))
DAYS = ["2008-10-01", "2015-06-01", "2022-12-01"]
MOMENTUM = {"lookback_days": 252, "skip_days": 21, "holdings": 8, "invested": 0.98}


@pytest.fixture(scope="module")
def all_prices() -> pd.DataFrame:
    path = settings.ROOT / "sample_data" / "daily_prices.csv.gz"
    return pd.read_csv(path, index_col="date", parse_dates=True).drop(columns="SP500")


def strategy(name: str) -> ModuleType:
    """The module of a file such as momentum/v1.py, run here: it is our own."""
    module = ModuleType(name)
    exec(compile((FOLDER / name).read_text(), name, "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_sample_may_run_as_a_strategy(path: Path) -> None:
    assert code_faults(path.read_text()) == []


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("version", ["v1.py", "v2.py"])
def test_momentum_holds_those_that_rose_most_from_a_year_to_a_month_ago(
    all_prices: pd.DataFrame, day: str, version: str
) -> None:
    prices = all_prices.loc[:day].iloc[-1260:]
    closes = {symbol: prices[symbol].tolist() for symbol in prices}
    rise = {symbol: known[-22] / known[-253] - 1 for symbol, known in closes.items()}
    strongest = sorted(rise, key=lambda symbol: -rise[symbol])[:8]
    expected = {symbol: 0.98 / 8 for symbol in strongest if version == "v1.py" or rise[symbol] > 0}

    assert strategy(f"momentum/{version}").target_weights(prices, MOMENTUM) == expected


def test_momentum_keeps_the_part_of_what_did_not_rise_as_cash(all_prices: pd.DataFrame) -> None:
    weights = strategy("momentum/v2.py").target_weights(all_prices.loc[:"2020-04-22"], MOMENTUM)

    assert len(weights) == 5  # that many rose from 2019-04-23 to 2020-03-23
    assert sum(weights.values()) == pytest.approx(0.98 * 5 / 8)


def test_momentum_ranked_by_volatility_prefers_the_steadier_of_two_equal_rises() -> None:
    steady = np.linspace(100.0, 110.0, 300)
    wild = steady * np.where(np.arange(300) % 2, 1.02, 1.0)
    prices = pd.DataFrame({"STEADY": steady, "WILD": wild}, index=pd.bdate_range("2021-01-01", periods=300))

    weights = strategy("momentum/v3.py").target_weights(prices, MOMENTUM | {"holdings": 1})

    assert weights == {"STEADY": 0.98}


@pytest.mark.parametrize("name", ["momentum/v1.py", "momentum/v2.py", "momentum/v3.py"])
def test_momentum_asks_for_nothing_before_it_has_a_year_of_prices(all_prices: pd.DataFrame, name: str) -> None:
    assert strategy(name).target_weights(all_prices.iloc[:252], MOMENTUM) == {}
    assert strategy(name).target_weights(all_prices.iloc[:253], MOMENTUM) != {}


@pytest.mark.parametrize("name", ["momentum/v2.py", "minimum_variance/v3.py", "equal_weight/v2.py"])
def test_what_has_no_close_today_is_not_asked_for(all_prices: pd.DataFrame, name: str) -> None:
    prices = all_prices.loc[:"2022-12-01"].copy()
    params = MOMENTUM | {"window_days": 252}
    before = strategy(name).target_weights(prices, params)
    gone = max(before, key=lambda symbol: before[symbol])
    prices.iloc[-1, prices.columns.get_loc(gone)] = np.nan

    assert gone not in strategy(name).target_weights(prices, params)


@pytest.mark.parametrize("day", DAYS)
def test_minimum_variance_is_where_a_general_optimizer_ends(all_prices: pd.DataFrame, day: str) -> None:
    prices = all_prices.loc[:day].iloc[-1260:]
    returns = prices.pct_change().iloc[-252:]

    weights = strategy("minimum_variance/v1.py").target_weights(prices, {"window_days": 252})

    assert as_array(weights, prices) == pytest.approx(optimum(returns.cov().to_numpy()), abs=1e-6)
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-12)
    assert min(weights.values()) >= 0.0


@pytest.mark.parametrize("day", DAYS)
def test_minimum_variance_of_a_shrunk_covariance_is_too(all_prices: pd.DataFrame, day: str) -> None:
    prices = all_prices.loc[:day].iloc[-1260:]
    returns = prices.pct_change().iloc[-252:].to_numpy()
    module = strategy("minimum_variance/v2.py")

    shrunk, _ = ledoit_wolf(returns)

    assert module.covariance(returns) == pytest.approx(shrunk, rel=1e-10)
    weights = module.target_weights(prices, {"window_days": 252})
    assert as_array(weights, prices) == pytest.approx(optimum(shrunk), abs=1e-6)


def test_minimum_variance_meets_the_conditions_of_an_optimum_on_random_covariances() -> None:
    least_variance = strategy("minimum_variance/v1.py").least_variance
    generator = np.random.default_rng(7)
    for symbols in (1, 2, 5, 30):
        loadings = generator.normal(size=(symbols, symbols + 2))
        matrix = loadings @ loadings.T
        weights = least_variance(matrix)
        variance = weights @ matrix @ weights
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        assert weights.min() >= 0.0
        # Karush, Kuhn and Tucker: no symbol would lower the variance, and those that are held all count the same.
        assert (matrix @ weights >= variance * (1 - 1e-9)).all()
        assert (matrix @ weights)[weights > 0] == pytest.approx(variance, rel=1e-9)


def optimum(matrix: np.ndarray) -> np.ndarray:
    """Least variance of long-only weights by SLSQP; scaled, as its tolerance is absolute."""
    scaled = matrix / np.trace(matrix) * len(matrix)
    found = minimize(
        lambda weights: weights @ scaled @ weights,
        np.full(len(matrix), 1 / len(matrix)),
        jac=lambda weights: 2 * scaled @ weights,
        bounds=[(0, 1)] * len(matrix),
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 1000},
    )
    return np.asarray(found.x)


def as_array(weights: dict[str, float], prices: pd.DataFrame) -> list[float]:
    return [weights.get(symbol, 0.0) for symbol in prices]


@pytest.mark.parametrize(("version", "invested"), [("v1.py", 1.0), ("v2.py", 0.98)])
def test_equal_weight_gives_the_same_to_all(all_prices: pd.DataFrame, version: str, invested: float) -> None:
    weights = strategy(f"equal_weight/{version}").target_weights(all_prices, {"invested": 0.98})

    assert weights == dict.fromkeys(all_prices.columns, invested / 20)


def test_load_makes_what_the_readme_says_and_a_second_one_nothing(
    db: None, capsys: pytest.CaptureFixture[str], all_prices: pd.DataFrame
) -> None:
    call_command("load_sample_strategies")
    assert capsys.readouterr().out.splitlines() == [
        "Sample book loaded: 3 portfolios, 172 trades, 174573 prices.",
        "Sample strategies loaded: 3 strategies, 9 versions, 1 open merge requests, 3 paper portfolios.",
    ]
    check_momentum_collides()
    check_minimum_variance_is_merged()
    check_merge_runs_in_the_sandbox(all_prices)
    check_histories()
    check_portfolios()
    check_second_load_changes_nothing(capsys)
    check_load_that_fails_leaves_nothing()
    check_what_is_missing_is_added()


def check_momentum_collides() -> None:
    (request,) = MergeRequest.objects.filter(status="open")
    assert (request.strategy_id, request.head.version, request.branch.version) == ("STRATEGY_001", 2, 3)
    (hunk,) = request.hunks
    assert [hunk[side]["lines"][0].strip()[:14] for side in ("base", "head", "branch")] == [
        "chosen = past.",
        "chosen = past[",
        "chosen = (past",
    ]


def check_minimum_variance_is_merged() -> None:
    merge = StrategyVersion.objects.get(strategy="STRATEGY_002", version=4)
    assert (merge.parent.version, merge.merged_from.version, merge.strategy.head_id) == (2, 3, merge.pk)
    assert merge.parameters == {"window_days": 504, "invested": 0.98}
    assert code_faults(merge.code) == []


def check_merge_runs_in_the_sandbox(all_prices: pd.DataFrame) -> None:
    version = StrategyVersion.objects.get(strategy="STRATEGY_002", version=4)
    prices = all_prices.loc[:"2022-12-01"].iloc[-1260:]
    shrunk, _ = ledoit_wolf(prices.pct_change().iloc[-504:].to_numpy())
    with Sandbox(version.code, version.parameters, list(prices.columns), Limits()) as sandbox:
        sandbox.feed(prices.index.to_numpy(), prices.to_numpy())
        weights = sandbox.target_weights().weights
    assert as_array(weights, prices) == pytest.approx(0.98 * optimum(shrunk), abs=1e-6)


def check_histories() -> None:
    for strategy_id in Strategy.objects.values_list("pk", flat=True):
        assert rebuild_version_history(strategy_id)["problems"] == []


def check_portfolios() -> None:
    papers = Portfolio.objects.filter(pk__startswith="PAPER_").order_by("pk")
    assert [(each.pk, each.cash, str(each.inception_date), each.benchmark_id) for each in papers] == [
        (f"PAPER_00{number}", 1_000_000, "2022-01-03", "SP500") for number in (1, 2, 3)
    ]
    assert {group.name for paper in papers for group in paper.groups.all()} == {"sample_book"}


def check_second_load_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = state()
    call_command("load_sample_strategies")
    assert "The sample strategies are loaded already; nothing was changed." in capsys.readouterr().out
    assert state() == before


def check_load_that_fails_leaves_nothing() -> None:
    Portfolio.objects.get(pk="PAPER_002").delete()
    before = state()
    taken = StrategyExistsError("STRATEGY_001 is taken.", "Choose another id.")
    with (
        patch("apps.strategies.sample_strategies._is_there", lambda _, name: name in ("PAPER_001", "PAPER_003")),
        patch("apps.strategies.sample_strategies.create_strategy", side_effect=taken),
        pytest.raises(CommandError, match=r"The sample strategies were not loaded: .*is taken"),
    ):
        call_command("load_sample_strategies")
    assert state() == before


def check_what_is_missing_is_added() -> None:
    before = state()
    loaded = load_sample_strategies(FOLDER)
    assert loaded == Loaded(strategies=0, versions=0, merge_requests=0, portfolios=1)
    assert state() == before | {"portfolios": [*before["portfolios"], "PAPER_002"]}


def state() -> dict[str, Any]:
    return {
        "versions": list(StrategyVersion.objects.order_by("pk").values("pk", "hash", "version", "canonical")),
        "requests": list(MergeRequest.objects.order_by("pk").values("pk", "status")),
        "portfolios": list(Portfolio.objects.order_by("created_at", "pk").values_list("pk", flat=True)),
    }


def test_folder_without_a_manifest_is_told(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"strategies\.json"):
        call_command("load_sample_strategies", folder=tmp_path)
