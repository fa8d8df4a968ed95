import os
import subprocess
import sys

import numpy as np
import pytest
from django.conf import settings as project
from hypothesis import given
from hypothesis import strategies as st

from apps.analytics.kernels.measures import FIGURES
from apps.analytics.reports.charts import draw_charts
from apps.analytics.reports.measures import GROUPS, grouped, text_of
from apps.analytics.reports.numbers import MINUS, NONE, percent, plain, price, quantity
from apps.analytics.reports.thinning import thinned


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=400), st.integers(4, 60))
def test_thinned_line_keeps_its_ends_and_its_extremes(values, most):
    line = np.array(values)
    rows = thinned(line, most)
    assert len(rows) <= max(most, 1)
    assert (rows[0], rows[-1]) == (0, len(line) - 1)
    assert (np.diff(rows) > 0).all()
    if not np.isnan(line).all():
        assert np.nanmin(line[rows]) == np.nanmin(line)
        assert np.nanmax(line[rows]) == np.nanmax(line)


def test_line_of_few_points_is_left_as_it_is():
    assert thinned(np.arange(10.0), 10).tolist() == list(range(10))


def test_thinning_to_fewer_than_four_points_is_refused():
    with pytest.raises(ValueError, match="most is 3"):
        thinned(np.arange(10.0), 3)


def test_crash_of_one_day_in_thirty_years_is_drawn():
    line = np.ones(8_312)
    line[4_321] = 0.2
    assert 4_321 in thinned(line, 1_200)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1234, "12.34 %"),
        (-0.1234, f"{MINUS}12.34 %"),
        (-0.000001, "0.00 %"),
        (28.1455, "2,814.55 %"),
        (2.7e10, "2.70e+12 %"),
        (1.7e308, "1.70e+310 %"),
        (None, NONE),
    ],
)
def test_fraction_is_read_as_per_cent(value, shown):
    assert percent(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1_234_567.891, "1,234,567.89"), (0.0, "0.00"), (1e-9, "1.00e-9"), (-5e20, f"{MINUS}5.00e+20")],
)
def test_number_is_read_with_thousands_apart(value, shown):
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(100.0, "100"), (0.00000001, "0.00000001"), (-1_250.5, f"{MINUS}1,250.5")]
)
def test_quantity_has_as_many_places_as_it_needs(value, shown):
    assert quantity(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(126.041, "126.04"), (0.5, "0.50"), (0.0032, "0.0032"), (0.012345678, "0.01235"), (5e-7, "5.00e-7"), (None, NONE)],
)
def test_price_of_a_fraction_of_a_cent_is_not_shown_as_nothing(value, shown):
    assert price(value) == shown


def test_every_measure_is_in_one_group_with_its_reason():
    metrics = {"sharpe": None, "total_return": 0.1, "beta": 1.0, "something_new": 2.0, "win_rate": 0.5}
    groups = dict(grouped(metrics, {"sharpe": "one return only"}))
    assert sorted(one.name for shown in groups.values() for one in shown) == sorted(metrics)
    (sharpe,) = groups["Risk and ratios"]
    assert (sharpe.text, sharpe.reason) == (NONE, "one return only")
    assert groups["Against the benchmark"][0].label == "Beta"


def test_every_measure_of_the_kernel_has_a_group_of_its_subject():
    titles = [title for title, _ in grouped(dict.fromkeys(FIGURES), {})]
    assert titles == list(GROUPS.values())


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("average_drawdown_days", 12.4, "12"),
        ("average_drawdown", -0.031, f"{MINUS}3.10 %"),
        ("risk_return_ratio", 0.06, "0.06"),
        ("up_down_capture", 1.2, "1.20"),
        ("up_capture", 1.2, "120.00 %"),
        ("longest_losing_streak", 7.0, "7"),
        ("beta_down", 0.9, "0.90"),
        ("alpha_down", 0.02, "2.00 %"),
        ("return_3m", 0.01, "1.00 %"),
        ("cvar_95_normal", 0.03, "3.00 %"),
    ],
)
def test_measure_is_read_in_its_unit(name, value, text):
    assert text_of(name, value) == text


def a_sheet(returns: list[float | None], **daily: object) -> dict[str, object]:
    """The parts of a sheet that drawings are made from, a day after the other from 2022-01-03 on."""
    dates = [str(np.datetime64("2022-01-03") + day) for day in range(len(returns) + 1)]
    growth = np.cumprod([1.0, *(1.0 + (value or 0.0) for value in returns)])
    nothing = ("benchmark_return", "benchmark_cumulative_return", "benchmark_drawdown", "rolling_sharpe",
               "rolling_volatility", "benchmark_rolling_sharpe", "benchmark_rolling_volatility")  # fmt: skip
    return {
        "performance": {"benchmark": "IDX", "metrics": {"var_95": 0.02, "cvar_95": 0.03}},
        "yearly_returns": [{"year": 2022, "return": growth[-1] - 1, "benchmark_return": None}],
        "daily": {
            "dates": dates,
            "return": [None, *returns],
            "cumulative_return": (growth - 1).tolist(),
            "drawdown": (growth / np.maximum.accumulate(growth) - 1).tolist(),
            **dict.fromkeys(nothing),
            "rolling_window_days": None,
            "rolling_reason": "too few days",
            **daily,
        },
    }


def charts_of(sheet: dict[str, object]) -> dict[str, object]:
    return {chart.name: chart for chart in draw_charts(sheet)}


def test_chart_is_a_drawing_with_words_or_a_reason_and_never_both():
    charts = charts_of(a_sheet([0.01, -0.02, 0.03]))
    assert sorted(charts) == ["distribution", "drawdown", "growth", "sharpe", "volatility", "years"]
    for chart in charts.values():
        assert bool(chart.svg) == bool(chart.alt) != bool(chart.reason)
    assert charts["sharpe"].reason == "too few days."


def test_distribution_marks_var_and_expected_shortfall():
    chart = charts_of(a_sheet([0.01, -0.02, 0.03]))["distribution"]
    assert chart.alt == "How many days had which return; VaR 95 % is 2.00 %; ES 95 % is 3.00 %."


def test_returns_that_do_not_vary_have_no_distribution():
    assert charts_of(a_sheet([0.0, 0.0, 0.0]))["distribution"].reason == "The returns do not vary."


def test_growth_too_large_for_a_number_is_not_drawn_but_said():
    sheet = a_sheet([0.1, 0.2])
    sheet["daily"]["cumulative_return"] = [0.0, None, None]
    assert charts_of(sheet)["growth"].reason == "There are fewer than two days with a figure."


def test_growth_beyond_all_reading_is_not_drawn_but_said():
    sheet = a_sheet([0.1, 0.2])
    sheet["daily"]["cumulative_return"] = [0.0, 1e300, 1.7e308]
    sheet["yearly_returns"][0]["return"] = 1.7e308
    charts = charts_of(sheet)
    assert charts["growth"].reason == "The figures are too large to draw."
    assert charts["years"].reason == "No year has a return that can be drawn."


def test_drawing_of_the_same_figures_has_the_same_bytes():
    assert charts_of(a_sheet([0.01, -0.02])) == charts_of(a_sheet([0.01, -0.02]))


@pytest.mark.slow
def test_process_that_makes_no_report_has_not_loaded_what_draws():
    code = (
        "import django, sys; django.setup(); import workers, nautilus.urls;"
        "print(sorted({'matplotlib', 'typst'} & set(sys.modules)))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "nautilus.settings", "PYTHONPATH": ".:platform"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=project.ROOT, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]", found.stderr
