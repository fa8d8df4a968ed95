"""The performance page: whose it shows, what it says of a stored result, and what it says where there is none."""

import html
import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils.html import strip_tags

from apps.analytics.kernels.rolling import rolling_beta
from apps.analytics.models import AnalyticsMetric, Report
from apps.analytics.reports.curves import series_of
from apps.analytics.tests.books import DAYS, calculate, make_traded_book
from apps.dashboard.pages import performance
from apps.dashboard.pages.performance import form_of
from apps.dashboard.pages.performance_rolling import choose
from apps.dashboard.pages.performance_tables import measures_found, months_by_year
from apps.portfolios.errors import MissingPriceError
from apps.portfolios.histories import store_history
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, make_user, trading_days
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

WEEK = trading_days(6)
CLOSES = {"AAA": [100.0, 110.0, 99.0, 118.8, 118.8, 106.92], "IDX": [10.0, 10.5, 10.0, 11.0, 11.0, 10.5]}


@pytest.fixture(autouse=True)
def _long_lease(settings: Any) -> None:
    """The thread that renews a lease does not see what a test's open transaction has written."""
    settings.TASK_LEASE_SECONDS = 300


@pytest.fixture
def book():
    """All in AAA: the portfolio's returns are AAA's +10 %, -10 %, +20 %, 0, -10 %, together 6.92 %."""
    make_prices(CLOSES)
    portfolio = make_portfolio("BOOK", initial_cash=10_000, name="The book")
    make_trade(portfolio, "AAA", 100, 100)
    return portfolio


def measured(**parameters: Any) -> AnalyticsMetric:
    task = calculate(**{"start_date": str(WEEK[0]), "end_date": str(WEEK[-1]), **parameters})
    assert task.status == "succeeded", task.error
    return AnalyticsMetric.objects.select_related("snapshot").get(task=task)


def signed_in(role: str = "viewer", **fields: Any) -> Client:
    client = Client()
    client.force_login(make_user(role, **fields))
    return client


def page(path: str = "/performance/BOOK", role: str = "viewer") -> str:
    answer = signed_in(role).get(path)
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def fragment(target: str, **parameters: str) -> str:
    headers = {"HX-Request": "true", "HX-Target": target}
    answer = signed_in().get("/performance/BOOK", parameters, headers=headers)
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def words(text: str) -> str:
    without_data = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    apart = re.sub(r"(</?(dt|dd|td|th|div|p|h\d)\b)", r" \1", without_data)
    return " ".join(html.unescape(strip_tags(apart)).split())


def data(text: str, name: str) -> Any:
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', text, re.DOTALL)
    return found and json.loads(found[1])


# --- Whose


def test_without_a_portfolio_in_the_path_it_is_the_first_and_then_the_last_visited(book):
    make_portfolio("AAA_BOOK")
    client = signed_in()
    assert client.get("/performance").headers["Location"] == "/performance/AAA_BOOK"
    client.get("/performance/BOOK")
    assert client.get("/performance").headers["Location"] == "/performance/BOOK"


def test_portfolio_that_was_visited_and_is_hidden_since_is_not_led_to(book):
    make_portfolio("OURS", groups=["ours"])
    client = signed_in(groups=["ours", "desk"])
    client.get("/performance/BOOK")
    book.groups.clear()
    assert client.get("/performance").headers["Location"] == "/performance/OURS"


def test_user_without_portfolios_is_told_so():
    assert "There is no portfolio that you may see." in words(page("/performance"))


def test_portfolio_of_others_is_not_there(book):
    answer = signed_in(groups=["others"]).get("/performance/BOOK")
    assert answer.status_code == 404
    assert "The book" not in answer.content.decode()


# --- Nothing stored yet


def test_trader_is_offered_to_compute_the_first_over_the_whole_history(book):
    store_history(book)
    shown = page(role="trader")
    assert "No performance of BOOK is stored yet." in words(shown)
    assert "data-compute" in shown
    assert f'value="{WEEK[0]}" required' in shown
    assert f'value="{WEEK[-1]}" required' in shown


def test_viewer_is_told_who_computes_and_has_no_form(book):
    shown = page()
    assert "A trader computes one on this page" in words(shown)
    assert '<form id="compute"' not in shown
    assert "data-compute" not in shown


def test_without_any_price_the_form_begins_with_the_inception():
    portfolio = make_portfolio("EMPTY")
    assert form_of(portfolio, None)["start"] == str(portfolio.inception_date)


# --- Figures


def test_figures_are_those_of_the_stored_result(book):
    measured(benchmark="IDX", risk_free_rate=0.02)
    shown = words(page())
    assert f"{WEEK[0]} to {WEEK[-1]}" in shown
    assert "5 daily returns in USD, against IDX, risk-free rate 2.00 % a year." in shown
    assert "Total return 6.92 %" in shown
    assert "Max drawdown −10.00 %" in shown  # noqa: RUF001


def test_curves_end_at_the_stored_figures_with_the_benchmark_beside_them(book):
    measured(benchmark="IDX")
    shown = page()
    curves = data(shown, "curves")
    assert curves["dates"] == [str(day) for day in WEEK]
    assert curves["return"] == pytest.approx([0, 0.1, -0.01, 0.188, 0.188, 0.0692])
    assert curves["drawdown"] == pytest.approx([0, 0, -0.1, 0, 0, -0.1])
    assert curves["benchmark_return"] == pytest.approx([0, 0.05, 0, 0.1, 0.1, 0.05])
    assert f"BOOK +6.92 % from the close of {WEEK[0]} to that of {WEEK[-1]}; IDX +5.00 %." in words(shown)


def test_drawdowns_are_told_in_words_and_in_a_table(book):
    measured()
    shown = words(page())
    assert f"Deepest −10.00 % on {WEEK[2]}, back on {WEEK[3]}." in shown  # noqa: RUF001
    assert f"On {WEEK[-1]} −10.00 % from the highest." in shown  # noqa: RUF001
    assert f"−10.00 % {WEEK[4]} {WEEK[5]} not yet 1" in shown  # noqa: RUF001


def test_benchmark_without_a_price_on_some_day_has_no_line_and_says_why(book):
    make_prices({"GAP": [10.0, None, 10.0, 11.0, 11.0, 10.5]}, source="a gap")
    measured(benchmark="GAP")
    shown = page()
    assert "benchmark_return" not in data(shown, "curves")
    assert "no line of GAP: GAP has no price on 1 of the period's 6 days" in words(shown)


def test_months_have_their_colour_and_the_year_its_total(book):
    measured()
    shown = page()
    assert '<td class="number gain-3">6.9</td>' in shown
    assert '<td class="number gain-2 total">6.9</td>' in shown
    assert "Best +6.92 % in 2022-01, worst +6.92 % in 2022-01; 1 of 1 month gained." in words(shown)


def test_months_without_a_day_are_empty_and_those_without_a_figure_are_a_dash():
    rows = [{"year": 2021, "month": 12, "return": -0.1}, {"year": 2022, "month": 1, "return": None}]
    newest, oldest = months_by_year({"monthly_returns": rows}).years
    assert [cell.text for cell in oldest.months] == [""] * 11 + ["−10.0"]  # noqa: RUF001
    assert oldest.months[11].shade == "loss-4"
    assert (newest.months[0].text, newest.months[0].missing) == ("–", True)  # noqa: RUF001
    assert newest.total.missing  # a result of an earlier release


def test_daily_returns_that_cannot_be_read_leave_the_stored_figures(book, monkeypatch):
    measured()

    def missing(metric: AnalyticsMetric) -> None:
        raise MissingPriceError("AAA has no price.", "Import it.")

    monkeypatch.setattr(performance, "daily_series", missing)
    shown = words(page())
    assert "The daily returns cannot be read: AAA has no price. Import it." in shown
    assert "Total return 6.92 %" in shown


# --- What has changed since


def test_figures_of_now_are_not_said_to_be_old(book):
    measured()
    assert "since these figures were calculated" not in page()


def test_change_of_book_and_prices_since_is_said_and_looks_stale(book):
    measured()
    book_cash_flow("BOOK", Decimal(500), WEEK[5])
    make_prices({"BBB": [1.0, 2.0]}, source="more")
    shown = page()
    assert "The book has changed since these figures were calculated." in shown
    assert "Prices have come in or were corrected since these figures were calculated." in shown
    assert 'data-stale-seconds="0"' in shown


def test_summary_alone_says_it_too_as_a_page_that_stays_open_asks_for_it(book):
    measured()
    assert "since these figures were calculated" not in fragment("summary")
    book_cash_flow("BOOK", Decimal(500), WEEK[5])
    shown = fragment("summary")
    assert "The book has changed since these figures were calculated." in shown
    assert "Total return 6.92 %" in words(shown)
    assert 'id="growth"' not in shown


def test_newest_of_several_results_is_shown(book):
    measured()
    measured(end_date=str(WEEK[1]))
    assert "Total return 10.00 %" in words(page())


# --- Rolling measures


def test_rolling_measure_is_that_of_the_kernel_over_the_chosen_window():
    make_traded_book()
    metric = measured(start_date=str(DAYS[0]), end_date=str(DAYS[-1]))
    shown = fragment("rolling", measure="beta", window="63")
    series = series_of(metric)
    assert series.benchmark is not None
    expected = rolling_beta(series.returns, series.benchmark, 63)[62:]
    chart = data(shown, "rolling-data")
    assert chart["value"] == pytest.approx(expected, abs=1e-6)
    assert chart["dates"] == [str(day) for day in series.ends[62:]]
    lowest = np.nanargmin(expected)
    assert f"Beta over 63 days: {expected[-1]:.2f} on {DAYS[-1]}, lowest {expected[lowest]:.2f}" in words(shown)


def test_rolling_figures_of_the_benchmark_stand_beside_those_that_it_has():
    make_traded_book()
    measured(start_date=str(DAYS[0]), end_date=str(DAYS[-1]))
    assert "benchmark_value" in data(fragment("rolling", measure="volatility"), "rolling-data")
    assert "benchmark_value" not in data(fragment("rolling", measure="alpha"), "rolling-data")


@pytest.mark.parametrize("asked", [{}, {"measure": "profit", "window": "99999999"}, {"measure": "\0", "window": "x"}])
def test_what_is_not_offered_is_the_sharpe_ratio_over_half_a_year(asked):
    chosen = choose(asked, {"observations": 300, "rolling": None})
    assert (chosen.measure, chosen.window_days, chosen.windows) == ("sharpe", 126, (21, 63, 126, 252))


def test_window_of_the_result_is_offered_and_chosen():
    chosen = choose({}, {"observations": 300, "rolling": {"window_days": 60}})
    assert (chosen.window_days, chosen.windows) == (60, (21, 60, 63, 126, 252))


def test_period_shorter_than_every_window_says_so(book):
    measured()
    assert "The shortest window is 21 returns; the period has 5." in words(fragment("rolling"))


def test_rolling_beta_without_a_benchmark_says_so():
    make_prices({"AAA": [10.0 + day % 3 for day in range(50)]})
    make_trade(make_portfolio("BOOK"), "AAA", 10, 10)
    measured(end_date=str(trading_days(50)[-1]))
    assert "It is measured against a benchmark: no benchmark." in words(fragment("rolling", measure="beta"))


# --- All measures


def test_every_measure_has_a_sentence_on_what_it_is(book):
    found = measures_found(measured(benchmark="IDX").result, "")
    assert found.count == found.found > 100
    assert [row.measure.name for group in found.groups for row in group.rows if not row.measure.about] == []


def test_filter_looks_at_names_subjects_and_descriptions(book):
    measured()
    shown = fragment("measures", q="Sharpe smart")
    assert re.findall(r'data-name="(\w+)"', shown) == ["smart_sharpe"]
    assert "1 of " in words(shown)


def test_filter_that_finds_nothing_says_so(book):
    measured()
    assert "No measure has these words." in words(fragment("measures", q="<b>profit"))


def test_figure_that_is_missing_is_a_dash_with_the_reason(book):
    measured()
    shown = fragment("measures")
    assert "Against the benchmark None of these: no benchmark." in words(shown)
    row = re.search(r'<tr data-name="return_3m">.*?</tr>', shown, re.DOTALL)
    assert row
    assert "None: the series is shorter than 3 months" in words(row[0])
    assert words(row[0]).endswith("–")  # noqa: RUF001


def test_confidence_intervals_stand_below_their_figures():
    make_traded_book()
    bootstrap = {"samples": 100, "block_days": 5, "confidence": 0.9, "seed": 1}
    measured(start_date=str(DAYS[0]), end_date=str(DAYS[-1]), bootstrap=bootstrap)
    row = re.search(r'<tr data-name="sharpe">.*?</tr>', fragment("measures"), re.DOTALL)
    assert row
    assert re.search(r"90 %: \S+ to \S+", words(row[0]))


# --- Form, jobs, report


def test_form_has_the_last_period_up_to_the_newest_day(book):
    store_history(book)
    metric = measured(start_date=str(WEEK[1]), end_date=str(WEEK[3]), benchmark="IDX", risk_free_rate=0.007)
    form = form_of(book, metric)
    assert (form["start"], form["end"]) == (str(WEEK[1]), str(WEEK[5]))
    assert (form["benchmark"], form["risk_free_percent"]) == ("IDX", "0.7")


def test_portfolios_own_benchmark_is_left_to_the_portfolio(book):
    Portfolio.objects.filter(pk="BOOK").update(benchmark="IDX")
    metric = measured()
    assert form_of(Portfolio.objects.get(pk="BOOK"), metric)["benchmark"] == ""


def test_periods_are_those_that_are_shorter_than_the_history(book):
    found = performance._periods(date(2019, 6, 3), date(2022, 12, 28))
    assert found == [
        ("Whole history", "2019-06-03", "2022-12-28"),
        ("3 years", "2019-12-29", "2022-12-28"),
        ("1 year", "2021-12-28", "2022-12-28"),
        ("This year", "2021-12-31", "2022-12-28"),
    ]


def test_job_that_still_runs_is_found_again_by_who_asked_for_it(book):
    user = make_user("trader")
    client = Client()
    client.force_login(user)
    task = make_task("calculate_portfolio_performance", {}, portfolio_id="BOOK", created_by=user)
    shown = client.get("/performance/BOOK").content.decode()
    assert data(shown, "known")["task_id"] == str(task.pk)
    assert data(page(), "known")["task_id"] is None


def test_report_says_whether_it_is_made(book):
    metric = measured()
    assert "Not made yet" in page()
    for name in Report.Format:
        Report.objects.create(portfolio=book, metric=metric, format=name, content=b"-", sha256="0" * 64, size_bytes=1)
    shown = fragment("report")
    assert "with the positions and limits of then" in shown
    assert shown.count("data-kept") == 4


def test_page_asks_the_database_as_often_whatever_there_is_to_show(book, django_assert_max_num_queries):
    measured(benchmark="IDX")
    client = signed_in("trader")
    client.get("/performance/BOOK")
    with django_assert_max_num_queries(20):
        client.get("/performance/BOOK")
