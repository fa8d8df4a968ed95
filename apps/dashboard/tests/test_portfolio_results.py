"""The results of a portfolio's jobs on its page: components, scenarios, stored figures, backtest, stress."""

import re
from typing import Any

import pytest

from apps.dashboard.pages import portfolio_results, portfolio_scenarios
from apps.dashboard.pages.portfolio_results import COMPONENTS_SHOWN, components_of, stress_rows
from apps.dashboard.templatetags.figures import MINUS, iso
from apps.dashboard.tests.portfolio_pages import (
    DAYS,
    analyze,
    backtest,
    cells,
    data,
    fragment,
    make_book,
    make_spread,
    stress,
    words,
)
from apps.portfolios.errors import NoPricesError
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_trade
from apps.risk.models import RiskMetric
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def book() -> Portfolio:
    return make_book()


@pytest.fixture
def spread() -> Portfolio:
    return make_spread()


# An analysis


def test_components_are_sorted_and_add_up(spread):
    analyze()
    html = fragment("components")
    assert "VaR 1,331 USD (1.31 %), expected shortfall 1,331 (1.31 %)" in words(html)
    assert cells(html, 0)[:5] == ["AAA", "11,286", "11.15 %", "1,129", "84.8 %"]
    assert cells(html, 1)[:2] == ["BBB", f"{MINUS}10,098"]
    assert data(html, "components-data") == {"symbols": ["AAA", "BBB"], "parts": pytest.approx([1128.6, 201.96])}


def test_components_beyond_the_shown_ones_are_added_up():
    rows = [
        {"symbol": f"S{number}", "value": 1.0, "weight": 0.01, "component_var": float(number), "component_es": 0.0}
        for number in range(COMPONENTS_SHOWN + 3)
    ]
    shown = components_of({"var": 153.0, "components": rows})
    assert [row["symbol"] for row in shown.rows][:2] == ["S17", "S16"]
    assert (shown.others["symbol"], shown.others["component_var"]) == ("3 others", 3.0)  # 0 + 1 + 2
    assert shown.bars["symbols"][-1] == "3 others"


def test_result_of_an_older_book_is_out_of_date(spread):
    analyze()
    assert "out of date" not in fragment("components")
    make_trade(spread, "AAA", 1, 100, day=DAYS[4])
    assert "out of date Since then the book has changed." in words(fragment("components"))


def test_scenarios_are_counted_beyond_and_within_var(spread):
    analyze(confidence=0.6)  # k = ceil(0.4 x 4) = 2: VaR is 564.30, and one scenario loses more
    html = fragment("scenarios")
    chart = data(html, "scenarios-data")
    assert (sum(chart["beyond"]), sum(chart["within"])) == (1, 3)
    assert chart["edges"][0] == -1330.56
    assert chart["edges"][-1] == 2358.18
    assert "through 4 scenarios, each a day: 1 lose more than the VaR of 564.30 USD" in words(html)
    assert f"{DAYS[2]} {MINUS}1,331" in words(html)


def test_scenarios_over_several_days_are_scaled_as_the_figures_are(spread):
    analyze(horizon_days=4)
    html = fragment("scenarios")
    assert data(html, "scenarios-data")["edges"][0] == pytest.approx(-1330.56 * 2, abs=0.01)
    assert "each a day, times the root of 4" in words(html)


def test_scenarios_say_why_they_cannot_be_shown(spread, monkeypatch):
    analyze()

    def fail() -> Any:
        raise NoPricesError

    monkeypatch.setattr(portfolio_scenarios, "load_current_matrix", fail)
    assert 'class="failed"' in fragment("scenarios")


def test_analysis_that_was_just_asked_for_is_shown_before_the_newest(spread):
    first = analyze(confidence=0.6)
    analyze(confidence=0.75)
    assert "VaR 1,331" in words(fragment("components"))
    assert "VaR 564.30" in words(fragment("components", snapshot=first["snapshot_id"]))
    assert "VaR 1,331" in words(fragment("components", snapshot="no such one"))


def test_same_analysis_asked_for_again_is_the_newest(spread):
    analyze(confidence=0.6)
    analyze(confidence=0.75)
    analyze(confidence=0.6)
    assert "VaR 564.30" in words(fragment("components"))


# Stored figures


def test_stored_figures_are_a_line_a_method_at_one_confidence(spread):
    analyze(confidence=0.75)
    analyze(confidence=0.75, method="parametric", distribution="normal")
    analyze(confidence=0.9)
    analyze(confidence=0.75, horizon_days=10)
    html = fragment("stored", confidence="0.75")
    assert [line["title"] for line in data(html, "stored-data")] == ["Historical", "Parametric"]
    assert cells(html, 0)[:2] == ["Historical", "1,331"]  # and not that of ten days
    assert re.findall(r'id="confidence-\d+".*?>([^<]*)</button>', html) == ["75 %", "90 %"]


def test_stored_figures_begin_with_99_percent_where_there_are_any(spread):
    for confidence in (0.75, 0.99, 0.75):
        analyze(confidence=confidence)
    assert re.search(r'aria-pressed="true">99 %', fragment("stored"))
    RiskMetric.objects.filter(confidence=0.99).delete()
    assert re.search(r'aria-pressed="true">75 %', fragment("stored", confidence="nonsense"))


def test_busy_monitor_pushes_out_no_other_method(spread, monkeypatch):
    monkeypatch.setattr(portfolio_results, "METRICS_A_METHOD", 2)
    analyze(method="parametric", distribution="normal")
    for symbol in ("AAA", "BBB", "AAA"):
        make_trade(spread, symbol, 1, 100, day=DAYS[4])
        analyze()
    lines = data(fragment("stored", confidence="0.75"), "stored-data")
    assert [(line["title"], len(line["points"])) for line in lines] == [("Historical", 2), ("Parametric", 1)]
    newest = RiskMetric.objects.filter(method="historical").first()
    assert lines[0]["points"][-1][1] == pytest.approx(newest.var, abs=0.01)


# Backtest and stress


def test_same_stress_test_asked_for_again_is_the_newest_and_says_when(spread):
    again = stress(("Down 20", -0.2))
    stress(("Up 10", 0.1))
    assert cells(fragment("stress"))[0] == "Up 10 worst"
    assert stress(("Down 20", -0.2))["snapshot_id"] == again["snapshot_id"]
    shown = fragment("stress")
    assert cells(shown)[0] == "Down 20 worst"
    assert f'datetime="{iso(Task.objects.latest("finished_at").finished_at)}"' in shown


def test_without_its_task_the_newest_backtest_is_the_newest_snapshot(book):
    for test_days in (1, 2):
        backtest(test_days=test_days)
    Task.objects.all().delete()
    assert len(data(fragment("backtest"), "backtest-data")["dates"]) == 2


def test_backtest_marks_the_day_that_lost_more_than_its_var(book):
    backtest(methods=["historical", "parametric"], distribution="normal")
    html = fragment("backtest")
    chart = data(html, "backtest-data")
    assert chart["dates"] == [str(day) for day in DAYS[5:]]
    assert chart["realized"] == [1128.6, -2482.92, 496.58]
    assert chart["methods"][0] == {"title": "Historical", "var": [1128.6, 1241.46, 1986.34]}
    assert chart["hits"][str(DAYS[6])][0] == "Historical"
    assert cells(html, 0)[0] == "Historical"
    assert cells(html, 0)[2:4] == ["1", "0.75"]
    assert f"{DAYS[6]} {MINUS}2,483 Historical (1,241)" in words(html)


def test_backtest_without_an_exception_says_so(book):
    backtest(test_days=1)
    assert "No day lost more than the VaR of any of these methods." in words(fragment("backtest"))


def test_stress_test_lists_the_worst_first(spread):
    stress(("Up 10", 0.1), ("Down 20", -0.2))
    html = fragment("stress")
    # AAA 11,286 and BBB -10,098 are 1,188 net: +118.80 and -237.60.
    assert cells(html, 0)[:4] == ["Down 20 worst", "own shock", f"{MINUS}237.60", f"{MINUS}0.2 %"]
    assert cells(html, 1)[:3] == ["Up 10", "own shock", "+118.80"]
    assert cells(html, 0)[7] == f"AAA {MINUS}2,257"


def test_size_of_a_stress_is_a_part_of_the_largest():
    def row(name: str, pnl: float) -> dict[str, Any]:
        return {"name": name, "pnl": pnl, "by_position": [], "by_sector": []}

    rows = stress_rows({"scenarios": [row("a", -50.0), row("b", -200.0), row("c", 100.0)], "worst": "b"})
    assert [(each.row["name"], each.share, each.is_worst) for each in rows] == [
        ("b", 100.0, True),
        ("a", 25.0, False),
        ("c", 50.0, False),
    ]
