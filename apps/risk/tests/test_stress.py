"""`risk.stress`: figures by hand on small books, refusals, warnings, and the sample portfolios against pandas."""

import math
from decimal import Decimal
from statistics import NormalDist, linear_regression, stdev
from typing import Any

import pandas as pd
import pytest

from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.matrix import PriceMatrix, load_matrix
from apps.portfolios.models import Instrument, Portfolio, Snapshot
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.risk.scenarios import SCENARIOS, HistoricalScenario
from apps.risk.stress import compute, declared, run_stress
from apps.risk.tests.books import SAMPLE_DATA, SAMPLE_PORTFOLIOS, sample_prices
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

DEFAULTS = {
    "scenarios": [],
    "shocks": [],
    "reverse": None,
    "window_days": 4,
    "as_of": None,
    "proxy": {},
    "missing": "error",
}
DAYS = trading_days(5)
# AAA moves twice as its benchmark IDX: +10, -10, +20, -5 % against +5, -5, +10, -2.5 %. BBB: 0, +2, -1, 0 %.
CLOSES = {
    "AAA": [100.0, 110.0, 99.0, 118.8, 112.86],
    "BBB": [50.0, 50.0, 51.0, 50.49, 50.49],
    "IDX": [100.0, 105.0, 99.75, 109.725, 106.981875],
}
VALUE = 100_000 + 11_286.00 - 10_098.00


def shock(name: str = "mine", **moves: Any) -> dict[str, Any]:
    return {"name": name, "symbols": {}, "sectors": {}, "all": None, "benchmark": None, **moves}


def reverse(**amount: float) -> dict[str, Any]:
    return {"loss": None, "loss_pct": None, **amount}


def stress(portfolio_id: str = "BOOK", **parameters: Any) -> Task:
    task = make_task("risk.stress", {**DEFAULTS, **parameters}, portfolio_id=portfolio_id)
    execute(take(str(task.pk), "w1"), run_stress)
    task.refresh_from_db()
    return task


@pytest.fixture
def book():
    make_prices(CLOSES)
    Instrument.objects.filter(pk="AAA").update(sector="Energy")
    Instrument.objects.filter(pk="BBB").update(sector="Utilities")
    portfolio = make_portfolio("BOOK", initial_cash=100_000, benchmark="IDX")
    make_trade(portfolio, "AAA", 100, 100)
    make_trade(portfolio, "BBB", -200, 50)
    return portfolio


@pytest.fixture
def week(monkeypatch):
    """A scenario from the second close to the fourth: AAA +8 % after -10 %, BBB +0.98 % after +2 %."""
    scenario = HistoricalScenario("week", "A week", DAYS[1], DAYS[3], "")
    monkeypatch.setitem(SCENARIOS, "week", scenario)
    return scenario


# --- moves of the past


def test_todays_positions_go_through_the_closes_of_the_scenario(book, week):
    result = stress(scenarios=["week"]).result
    [row] = result["scenarios"]
    assert row["pnl"] == pytest.approx(11_286 * 0.08 - 10_098 * 0.0098)
    assert row["worst_point"] == {"date": str(DAYS[2]), "pnl": pytest.approx(11_286 * -0.1 - 10_098 * 0.02)}
    assert row["pnl_pct"] == pytest.approx(row["pnl"] / VALUE)
    assert row["value_after"] == pytest.approx(VALUE + row["pnl"])
    assert [position["return"] for position in row["by_position"]] == [pytest.approx(0.08), pytest.approx(0.0098)]
    assert (row["kind"], row["start"], row["end"]) == ("historical", str(DAYS[1]), str(DAYS[3]))
    assert (result["worst"], result["warnings"]) == ("week", [])


def test_positions_and_sectors_add_up_to_the_bit(book, week):
    [row] = stress(scenarios=["week"]).result["scenarios"]
    assert math.fsum(position["pnl"] for position in row["by_position"]) == row["pnl"]
    assert math.fsum(sector["pnl"] for sector in row["by_sector"]) == row["pnl"]
    assert [sector["sector"] for sector in row["by_sector"]] == ["Energy", "Utilities"]


def test_symbol_without_prices_then_is_an_error_that_names_it_and_what_it_has(book):
    error = stress(scenarios=["covid_2020", "rates_2022"]).error
    assert error["code"] == "scenario_prices_missing"
    assert "AAA has no prices all through covid_2020, rates_2022 (its prices run from 2022-01-03" in error["detail"]
    assert '"proxy": {"AAA": "SP500"}' in error["remedy"]


def test_refusal_names_the_scenarios_that_can_be_asked_for(book, week):
    assert "ask for the scenarios week alone" in stress(scenarios=["week", "covid_2020"]).error["remedy"]


def test_proxy_stands_in_for_the_whole_scenario_and_is_said(book, week):
    make_prices({"NEW": [5.0, 6.0]}, start=DAYS[3])
    make_trade(book, "NEW", 10, 5, day=DAYS[3])
    assert "NEW has no prices" in stress(scenarios=["week"]).error["detail"]
    result = stress(scenarios=["week"], proxy={"NEW": "IDX"}).result
    new = result["scenarios"][0]["by_position"][2]
    assert (new["return"], new["basis"]) == (pytest.approx(109.725 / 105 - 1), "proxy IDX")
    assert result["warnings"] == ["week: NEW moves as its proxy IDX, as it has no prices of its own through it"]


def test_proxy_is_not_used_where_the_symbol_has_its_own_prices(book, week):
    result = stress(scenarios=["week"], proxy={"BBB": "IDX"}).result
    assert [row["basis"] for row in result["scenarios"][0]["by_position"]] == ["prices", "prices"]
    assert result["warnings"] == []


def test_proxy_without_prices_then_and_proxy_of_what_is_not_held_are_refused(book):
    error = stress(scenarios=["covid_2020"], proxy={"AAA": "IDX"}).error
    assert "and its proxy IDX has none either" in error["detail"]
    assert stress(scenarios=["covid_2020"], proxy={"ZZZ": "IDX"}).error["code"] == "invalid_proxy"


def test_day_without_a_close_has_the_one_before_and_is_said(book, week):
    make_prices({"GAP": [7.0, 7.0, None, 14.0, 14.0]})
    make_trade(book, "GAP", 1, 7)
    result = stress(scenarios=["week"]).result
    assert result["scenarios"][0]["by_position"][2]["return"] == 1.0
    assert result["warnings"] == ["week: days without a close have the last one before: GAP on 1 of 3"]


def test_close_older_than_a_week_stands_for_nothing(monkeypatch, book):
    make_prices({"AAA": [100.0] * 12, "BBB": [50.0] * 12, "IDX": [100.0] * 12, "GAP": [7.0, *[None] * 10, 7.0]})
    make_trade(book, "GAP", 1, 7)
    days = trading_days(12)
    monkeypatch.setitem(SCENARIOS, "halt", HistoricalScenario("halt", "", days[0], days[10], ""))
    assert "GAP has no prices all through halt" in stress(scenarios=["halt"]).error["detail"]


def test_book_younger_than_the_window_can_be_stressed(book, week):
    assert stress(scenarios=["week"], window_days=500).status == "succeeded"


def test_everything_is_asked_for_where_nothing_is(book, week, monkeypatch):
    monkeypatch.setattr("apps.risk.stress.SCENARIOS", {"week": week})
    assert [row["name"] for row in stress().result["scenarios"]] == ["week"]
    assert [row["name"] for row in stress(scenarios=["week", "all", "week"]).result["scenarios"]] == ["week"]
    assert stress(shocks=[shock(all=-0.1)]).result["worst"] == "mine"


# --- own shocks


def test_most_specific_shock_wins(book):
    [row] = stress(shocks=[shock(symbols={"AAA": -0.2}, sectors={"Energy": 9.0, "Utilities": 0.1}, all=5.0)]).result[
        "scenarios"
    ]
    assert [(each["return"], each["basis"]) for each in row["by_position"]] == [(-0.2, "symbol"), (0.1, "sector")]
    assert row["pnl"] == pytest.approx(11_286 * -0.2 - 10_098 * 0.1)
    assert (row["kind"], row["worst_point"]) == ("shock", None)


def test_short_position_gains_where_prices_fall(book):
    [row] = stress(shocks=[shock(all=-1.0)]).result["scenarios"]
    assert [position["pnl"] for position in row["by_position"]] == [pytest.approx(-11_286), pytest.approx(10_098)]


def test_what_no_shock_names_does_not_move(book):
    [row] = stress(shocks=[shock(sectors={"Utilities": 0.1})]).result["scenarios"]
    assert (row["by_position"][0]["pnl"], row["by_position"][0]["basis"]) == (0.0, "none")


def test_shock_of_the_benchmark_moves_by_beta_what_is_not_named(book):
    result = stress(shocks=[shock(symbols={"BBB": 0.0}, benchmark=-0.15)]).result
    [row] = result["scenarios"]
    assert row["by_position"][0]["beta"] == pytest.approx(2.0)
    assert row["pnl"] == pytest.approx(11_286 * 2 * -0.15)
    assert (row["kind"], row["by_position"][1]["beta"], result["warnings"]) == ("factor", None, [])


def test_beta_that_takes_a_price_below_zero_is_said(book):
    result = stress(shocks=[shock(symbols={"BBB": 0.0}, benchmark=-0.6)]).result
    assert "mine: beta times the shock is below -100 %, which no price can fall: AAA (-120%)" in result["warnings"]


def test_portfolio_without_benchmark_has_no_factor_shock(book):
    Portfolio.objects.filter(pk="BOOK").update(benchmark=None)
    error = stress(shocks=[shock(benchmark=-0.1)]).error
    assert (error["code"], "BOOK has no benchmark" in error["detail"]) == ("no_benchmark", True)


def test_benchmark_that_does_not_move_or_has_gaps_gives_no_betas(book):
    make_prices({"IDX": [100.0] * 5})
    assert "IDX does not move" in stress(shocks=[shock(benchmark=-0.1)]).error["detail"]
    make_prices({"LATE": [1.0, 2.0]}, start=DAYS[3])
    Portfolio.objects.filter(pk="BOOK").update(benchmark="LATE")
    assert "LATE lacks 3 of the window's 4 returns" in stress(shocks=[shock(benchmark=-0.1)]).error["detail"]


def test_shock_without_effect_is_said(book):
    Instrument.objects.create(symbol="NEW", sector="Materials")
    Instrument.objects.filter(pk="BBB").update(sector="")
    said = stress(shocks=[shock(symbols={"NEW": 1.0}, sectors={"Materials": 1.0})]).result["warnings"]
    assert said == [
        "mine: not held, so without effect: NEW",
        "mine: nothing held is in Materials",
        "mine: no sector is known of BBB, so that no shock of a sector reaches them",
    ]


# --- reverse stress


def test_reverse_stress_finds_the_move_that_loses_the_amount(book):
    found = stress(reverse=reverse(loss=500)).result["reverse"]
    deviation = stdev([1128.60, -1330.56, 2358.18, -564.30])  # the book's P&L on each day of the window
    assert found["volatility_daily"] == pytest.approx(deviation, rel=1e-12)
    assert found["distance"] == pytest.approx(500 / deviation, rel=1e-12)
    assert found["pnl"] == pytest.approx(-500, rel=1e-12)
    assert found["probability"] == pytest.approx(NormalDist().cdf(-500 / deviation), rel=1e-12)
    assert math.fsum(row["pnl"] for row in found["by_position"]) == found["pnl"]
    assert found["by_position"][0]["return"] < 0 < found["by_position"][1]["return"]


def test_single_factor_answer_is_the_fall_of_the_benchmark(book):
    result = stress(reverse=reverse(loss=500)).result
    factor = result["reverse"]["single_factor"]
    beta = linear_regression([0.05, -0.05, 0.1, -0.025], [0.0, 0.02, -0.01, 0.0]).slope  # of BBB; that of AAA is 2
    exposure = 11_286 * 2.0 - 10_098 * beta
    assert factor["symbol"] == "IDX"
    assert factor["beta_exposure"] == pytest.approx(exposure)
    assert factor["move"] == pytest.approx(-500 / exposure)
    assert result["warnings"] == []


def test_loss_as_part_of_the_value(book):
    found = stress(reverse=reverse(loss_pct=0.01)).result["reverse"]
    assert (found["loss"], found["loss_pct"]) == (pytest.approx(VALUE / 100), pytest.approx(0.01))


def test_loss_that_no_day_of_the_window_came_near_is_said(book):
    said = " ".join(stress(reverse=reverse(loss=50_000)).result["warnings"])
    assert f"the window's worst day ({DAYS[2]}) made -1330.56" in said
    assert "prices below -100 %, which none can fall: AAA" in said
    assert "IDX would have to fall by" in said


def test_window_of_fewer_days_than_symbols_is_said(book):
    assert "2 days hold no full covariance of 2 symbols" in " ".join(
        stress(reverse=reverse(loss=1), window_days=2).result["warnings"]
    )


def test_book_that_does_not_move_has_no_reverse_stress_and_says_why():
    make_prices({"AAA": [10.0] * 5})
    make_trade(make_portfolio("BOOK"), "AAA", 10, 10)
    result = stress(reverse=reverse(loss=5)).result
    assert (result["reverse"]["distance"], result["reverse"]["by_position"]) == (None, [])
    assert "does not move in the window" in result["warnings"][0]
    assert (result["reverse"]["single_factor"], result["worst"]) == (None, None)
    assert "BOOK has no benchmark, so there is no single-factor answer" in result["warnings"][1]


def test_reverse_stress_needs_the_whole_window(book):
    assert stress(reverse=reverse(loss=1), window_days=5).error["code"] == "insufficient_history"


# --- all together


def test_book_worth_less_than_nothing_has_figures_but_no_percentages(book, week):
    book_cash_flow("BOOK", Decimal(-200_000), DAYS[4])
    result = stress(scenarios=["week"], shocks=[shock(all=-0.5)], reverse=reverse(loss=100)).result
    assert [row["pnl_pct"] for row in result["scenarios"]] == [None, None]
    assert (result["reverse"]["loss_pct"], result["reverse"]["pnl"]) == (None, pytest.approx(-100))
    assert "-98812.00" in result["warnings"][0]
    assert stress(reverse=reverse(loss_pct=0.1)).error["code"] == "loss_without_value"


def test_snapshot_gives_the_same_bits_after_prices_sectors_and_scenarios_have_changed(book, week, monkeypatch):
    asked = {"shocks": [shock(sectors={"Energy": -0.3}), shock("fall", benchmark=-0.1)], "reverse": reverse(loss=500)}
    result = stress(scenarios=["week"], **asked).result
    make_prices({"AAA": [101.0, 1.0, 2.0, 3.0, 4.0]}, source="a correction")
    Instrument.objects.update(sector="")
    monkeypatch.setitem(SCENARIOS, "week", HistoricalScenario("week", "Other", DAYS[0], DAYS[1], ""))
    snapshot = Snapshot.objects.get(pk=result["snapshot_id"])
    assert compute(snapshot.inputs, load_matrix(snapshot.inputs["price_version"])) == result == snapshot.result


def test_given_day_is_valued_with_what_was_held_then(book, week):
    make_trade(book, "AAA", 900, "118.8", day=DAYS[3])
    result = stress(scenarios=["week"], as_of=str(DAYS[2])).result
    assert result["scenarios"][0]["by_position"][0]["value"] == pytest.approx(9_900)


def sample_inputs(portfolio_id: str, **parameters: Any) -> dict[str, Any]:
    """The exact inputs of a sample portfolio without its cash, as of 2022-12-28."""
    trades = pd.read_csv(SAMPLE_DATA / "trades.csv").query("portfolio_id == @portfolio_id")
    held = trades.groupby("symbol")["quantity"].sum().loc[lambda quantity: quantity != 0]
    return {
        **DEFAULTS,
        "portfolio_id": portfolio_id,
        "currency": "USD",
        "benchmark": "SP500",
        "cash": "0",
        "ledger_version": 1,
        "positions": [[symbol, str(quantity)] for symbol, quantity in held.items()],
        "sectors": {},
        "scenarios": [declared(name) for name in SCENARIOS],
        "as_of": "2022-12-28",
        "as_of_asked": False,
        "window_days": 500,
        **parameters,
    }


def sample_matrix() -> PriceMatrix:
    table = sample_prices().sort_index(axis=1)
    closes = table.to_numpy(float)
    return PriceMatrix(1, table.index.to_numpy("datetime64[D]"), tuple(table), closes, closes[1:] / closes[:-1] - 1)


@pytest.mark.parametrize("portfolio_id", SAMPLE_PORTFOLIOS)
def test_sample_portfolios_agree_with_pandas_in_every_scenario(portfolio_id):
    prices = sample_prices()
    window = prices.pct_change().tail(500)
    result = compute(sample_inputs(portfolio_id, reverse=reverse(loss_pct=0.01)), sample_matrix())
    value = {row["symbol"]: row["value"] for row in result["scenarios"][0]["by_position"]}
    assert (len(result["scenarios"]), result["warnings"]) == (10, [])
    for row in result["scenarios"]:
        path = prices.loc[row["start"] : row["end"], list(value)]
        pnl = ((path / path.iloc[0] - 1) * list(value.values())).sum(axis=1).iloc[1:]
        assert row["pnl"] == pytest.approx(pnl.iloc[-1], rel=1e-11)
        assert row["worst_point"] == {"date": pnl.idxmin(), "pnl": pytest.approx(pnl.min(), rel=1e-11)}
    betas = window.cov()["SP500"] / window["SP500"].var()
    exposure = (betas[list(value)] * list(value.values())).sum()
    assert result["reverse"]["single_factor"]["beta_exposure"] == pytest.approx(exposure, rel=1e-11)
    loss = (window[list(value)] * list(value.values())).sum(axis=1)
    assert result["reverse"]["distance"] == pytest.approx(0.01 * result["portfolio_value"] / loss.std(), rel=1e-11)
    assert result["reverse"]["benchmark_return"] == pytest.approx(
        -result["reverse"]["loss"] * loss.cov(window["SP500"]) / loss.var(), rel=1e-10
    )


def test_every_scenario_starts_at_its_highest_close_and_ends_at_its_lowest():
    index = sample_prices()["SP500"]
    for scenario in SCENARIOS.values():
        window = index.loc[str(scenario.start) : str(scenario.end)]
        assert (window.index[0], window.index[-1]) == (str(scenario.start), str(scenario.end))
        assert (window.idxmax(), window.idxmin()) == (str(scenario.start), str(scenario.end)), scenario.name
        assert window.iloc[-1] / window.iloc[0] < 0.9
    assert list(SCENARIOS) == sorted(SCENARIOS, key=lambda name: SCENARIOS[name].start)
