"""`risk.compare`: one row a method and distribution, each with the figures of its analysis, and how far they differ."""

from decimal import Decimal
from statistics import median
from typing import Any

import numpy as np
import pytest

from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Snapshot
from apps.portfolios.replays import replay
from apps.portfolios.tests.factories import (
    book_state,
    client_of,
    make_portfolio,
    make_prices,
    make_trade,
    trading_days,
)
from apps.risk.analysis import run_analysis
from apps.risk.comparison import compute, run_comparison, variants
from apps.risk.methods import METHODS, relevant
from apps.risk.models import RiskMetric
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

URL = "/api/v1/sprint3/analytics/risk/compare"
DEFAULTS = {
    "methods": sorted(METHODS),
    "confidence": 0.95,
    "horizon_days": 1,
    "horizon_method": "sqrt_time",
    "window_days": 40,
    "as_of": None,
    "distribution": "normal",
    "paths": 1_000,
    "seed": 0,
    "decay": 0.98,
    "proxy": {},
    "missing": "error",
}
DAYS = trading_days(131)
ALL_ROWS = [
    ("age_weighted", None),
    ("cornish_fisher", None),
    ("filtered_historical", None),
    ("historical", None),
    ("monte_carlo", "normal"),
    ("monte_carlo", "student_t"),
    ("parametric", "normal"),
    ("parametric", "student_t"),
]
FIGURES = ("var", "var_pct", "expected_shortfall", "expected_shortfall_pct", "standard_error")


def run(kind: str, job: Any, portfolio_id: str, parameters: dict[str, Any]) -> Task:
    task = make_task(kind, parameters, portfolio_id=portfolio_id)
    execute(take(str(task.pk), "w1"), job)
    task.refresh_from_db()
    return task


def compare(portfolio_id: str = "BOOK", **parameters: Any) -> Task:
    return run("risk.compare", run_comparison, portfolio_id, {**DEFAULTS, **parameters})


def analyze(method: str, distribution: str | None, **parameters: Any) -> dict[str, Any]:
    asked = {**DEFAULTS, **parameters, "method": method, "distribution": distribution or "normal"}
    return run("risk.analyze", run_analysis, "BOOK", relevant([method], asked)).result


def post(**body: Any) -> Any:
    return client_of().post(URL, {"portfolio_id": "BOOK", **body}, format="json")


def walk(seed: int, days: int = 131) -> list[float]:
    moves = np.random.default_rng(seed).standard_t(4, days) * 0.01
    return np.round(100 * np.cumprod(1 + moves), 6).tolist()


@pytest.fixture(autouse=True)
def _long_lease(settings: Any) -> None:
    """A lease is renewed on another connection, to which a test's row is not committed: none is to fall due here."""
    settings.TASK_LEASE_SECONDS = 300


@pytest.fixture
def book():
    make_prices({"AAA": walk(1), "BBB": walk(2)})
    portfolio = make_portfolio("BOOK", initial_cash=100_000)
    make_trade(portfolio, "AAA", 500, 100)
    make_trade(portfolio, "BBB", -200, 100)
    return portfolio


# --- the table


def test_every_method_has_a_row_and_one_with_a_distribution_has_two(book):
    rows = compare().result["methods"]
    assert [(row["method"], row["distribution"]) for row in rows] == ALL_ROWS


# From 100 days on the filter is a GARCH.
@pytest.mark.parametrize(
    "asked",
    [{}, {"window_days": 120}, {"horizon_days": 10}, {"horizon_days": 5, "horizon_method": "overlapping"}],
)
def test_row_has_the_bits_of_the_analysis_by_that_method(book, asked):
    for row in compare(**asked).result["methods"]:
        alone = analyze(row["method"], row["distribution"], **asked)
        assert {name: row[name] for name in FIGURES} == {name: alone[name] for name in FIGURES}
        assert set(row["warnings"]) <= set(alone["warnings"])


def test_parameters_of_a_method_reach_its_row_alone(book):
    one, other = compare().result["methods"], compare(decay=0.9).result["methods"]
    assert [row["method"] for row, then in zip(one, other, strict=True) if row != then] == ["age_weighted"]


def test_only_the_methods_asked_for_are_compared(book):
    result = compare(methods=["historical", "parametric"]).result
    assert [(row["method"], row["distribution"]) for row in result["methods"]] == [
        ("historical", None),
        ("parametric", "normal"),
        ("parametric", "student_t"),
    ]


def test_variant_carries_no_parameter_that_its_method_does_not_use():
    (row,) = variants({**DEFAULTS, "methods": ["age_weighted"]})
    assert not {"distribution", "paths", "seed"} & set(row)
    assert (row["method"], row["decay"]) == ("age_weighted", 0.98)


def test_largest_component_is_that_of_the_analysis(book):
    components = analyze("historical", None)["components"]
    largest = max(components, key=lambda row: row["component_var"])
    (row,) = compare(methods=["historical"]).result["methods"]
    assert row["largest_component"] == {name: largest[name] for name in ("symbol", "component_var")}


def test_warning_of_one_method_stands_in_its_row(book):
    rows = {(row["method"], row["distribution"]): row["warnings"] for row in compare().result["methods"]}
    assert rows["historical", None] == []
    assert rows["filtered_historical", None][0].startswith("40 days are too few for GARCH")


def test_warning_about_the_book_is_said_once(book):
    make_prices({"NEW": walk(3, 21)}, start=DAYS[110])
    make_trade(book, "NEW", 10, 100, day=DAYS[110])
    result = compare(methods=["historical", "parametric"], proxy={"NEW": "AAA"}).result
    assert [text for text in result["warnings"] if "proxy AAA" in text] == result["warnings"]
    assert not any("proxy" in text for row in result["methods"] for text in row["warnings"])


def test_result_names_the_book_and_what_was_asked(book):
    result = compare(horizon_days=10).result
    assert (result["portfolio_id"], result["as_of"], result["currency"]) == ("BOOK", str(DAYS[-1]), "USD")
    assert (result["confidence"], result["horizon_days"], result["horizon_method"]) == (0.95, 10, "sqrt_time")
    assert result["portfolio_value"] == analyze("historical", None)["portfolio_value"]


# --- how far they disagree


@pytest.mark.parametrize("figure", ["var", "expected_shortfall"])
def test_disagreement_is_the_range_over_the_median(book, figure):
    result = compare().result
    figures, said = [row[figure] for row in result["methods"]], result["disagreement"][figure]
    assert (said["lowest"][figure], said["highest"][figure]) == (min(figures), max(figures))
    assert said["median"] == median(figures)
    assert said["spread_pct"] == (max(figures) - min(figures)) / median(figures)


def test_ends_of_the_range_name_their_method(book):
    result = compare().result
    highest = result["disagreement"]["var"]["highest"]
    (row,) = [row for row in result["methods"] if row["var"] == highest["var"]]
    assert (highest["method"], highest["distribution"]) == (row["method"], row["distribution"])


def test_one_method_agrees_with_itself(book):
    said = compare(methods=["historical"]).result["disagreement"]["var"]
    assert said["lowest"] == said["highest"]
    assert said["spread_pct"] == 0.0


def test_book_without_risk_has_no_spread():
    make_prices({"AAA": [10.0] * 131})
    make_trade(make_portfolio("FLAT"), "AAA", 10, 10)
    said = compare("FLAT").result["disagreement"]["var"]
    assert (said["median"], said["spread_pct"]) == (0.0, None)


# --- what is kept


def test_snapshot_gives_the_same_bits_after_prices_and_book_have_changed(book):
    result = compare().result
    make_prices({"AAA": walk(9)}, source="a correction")
    make_trade(book, "AAA", 7, 100, day=DAYS[-1])
    snapshot = Snapshot.objects.get(pk=result["snapshot_id"])
    assert snapshot.result == result
    assert compute(snapshot.inputs, load_matrix(snapshot.inputs["price_version"])) == result
    assert replay(snapshot)["reproduced"]
    assert compare().result["snapshot_id"] != result["snapshot_id"]


def test_comparison_stores_no_metric(book):
    compare()
    assert not RiskMetric.objects.exists()


def test_book_worth_less_than_nothing_has_figures_but_no_percentages(book):
    before = compare().result["methods"]
    book_cash_flow("BOOK", Decimal(-200_000), DAYS[-1])
    result = compare().result
    assert result["portfolio_value"] < 0
    assert [row["var"] for row in result["methods"]] == [row["var"] for row in before]
    assert {(row["var_pct"], row["expected_shortfall_pct"]) for row in result["methods"]} == {(None, None)}


def test_window_that_one_method_cannot_use_fails_with_its_words(book):
    before = book_state()
    error = compare(window_days=2).error
    assert (error["code"], "2 returns for the Student t" in error["detail"]) == ("insufficient_history", True)
    assert compare(window_days=2, methods=["historical"]).error is None
    assert book_state() == before


def test_portfolio_without_positions_is_refused_with_the_reason(book):
    make_portfolio("EMPTY")
    assert compare("EMPTY").error["code"] == "no_positions"


# --- the API


def test_request_becomes_a_task_with_the_defaults(book):
    answer = post()
    assert answer.status_code == 202
    task = Task.objects.get(pk=answer.json()["task_id"])
    assert (task.kind, task.portfolio_id) == ("risk.compare", "BOOK")
    assert task.inputs["methods"] == sorted(METHODS)
    assert (task.inputs["confidence"], task.inputs["window_days"], task.inputs["horizon_days"]) == (0.99, 500, 1)


def test_methods_are_asked_for_once_each_and_in_one_order(book):
    inputs = Task.objects.get(pk=post(methods=["parametric", "historical", "parametric"]).json()["task_id"]).inputs
    assert inputs["methods"] == ["historical", "parametric"]


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"methods": ["historical", "guess"]}, "methods"),
        ({"methods": []}, "methods"),
        ({"method": "historical"}, "method"),
        ({"widow_days": 100}, "widow_days"),
        ({"confidence": 1}, "confidence"),
        ({"window_days": 1}, "window_days"),
        ({"horizon_days": 500, "horizon_method": "overlapping"}, "horizon_days"),
        ({"decay": 0.4}, "decay"),
        ({"paths": 999}, "paths"),
    ],
)
def test_wrong_request_is_refused_with_the_field(book, body, attr):
    answer = post(**body)
    assert answer.status_code == 400
    assert attr in answer.json()["errors"][0]["attr"]
    assert not Task.objects.exists()


def test_too_expensive_request_is_refused_before_it_is_a_task(book, settings):
    settings.RISK_MAX_DRAWS = 399_999
    answer = post(paths=100_000, methods=["monte_carlo"])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too_expensive")
    # 100,000 paths x 2 symbols x 2 distributions
    assert "for 2 distributions are 400,000 draws" in answer.json()["errors"][0]["detail"]
    assert not Task.objects.exists()


def test_viewer_and_stranger_compare_nothing(book):
    body = {"portfolio_id": "BOOK"}
    assert client_of("viewer").post(URL, body, format="json").status_code == 403
    assert client_of("trader", groups=["others"]).post(URL, body, format="json").status_code == 404
    assert not Task.objects.exists()


def test_parameters_that_no_asked_method_uses_are_no_inputs(book):
    task = Task.objects.get(pk=post(methods=["historical", "age_weighted"], decay=0.97, paths=5000).json()["task_id"])
    assert task.inputs["decay"] == 0.97
    assert {"paths", "seed", "distribution"}.isdisjoint(task.inputs)
