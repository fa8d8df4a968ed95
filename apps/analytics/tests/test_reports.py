"""Tear sheets of small books whose figures are worked out by hand."""

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.analytics.models import AnalyticsMetric, Report
from apps.analytics.performance import run_performance
from apps.analytics.reports.csv_file import as_csv
from apps.analytics.reports.files import make_files
from apps.analytics.reports.keep import run_report
from apps.analytics.reports.numbers import MINUS
from apps.analytics.reports.sheet import make_sheet
from apps.portfolios.holdings import Valuation, value_portfolios
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.models import Instrument, Portfolio, Trade
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.risk.limits import create_limit
from apps.tasks.execution import Job, execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

DAYS = trading_days(6)
CLOSES = {"AAA": [100.0, 110.0, 99.0, 118.8, 118.8, 106.92], "IDX": [10.0, 10.5, 10.0, 11.0, 11.0, 10.5]}
FORMATS = ["csv", "html", "json", "pdf"]


def measured(portfolio_id: str = "BOOK", **parameters: Any) -> AnalyticsMetric:
    """The stored performance over all of the six days."""
    asked = {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1]), "benchmark": None, "risk_free_rate": 0.0}
    task = make_task("calculate_portfolio_performance", asked | parameters, portfolio_id=portfolio_id)
    execute(take(str(task.pk), "w1"), run_performance)
    return AnalyticsMetric.objects.select_related("portfolio", "snapshot").get(task=task)


def sheet_of(metric: AnalyticsMetric) -> dict[str, Any]:
    return make_sheet(metric, timezone.now())


def files_of(metric: AnalyticsMetric) -> dict[str, bytes]:
    return make_files(sheet_of(metric), timezone.now(), lambda _: None)


def reported(metric: AnalyticsMetric) -> Task:
    task = make_task("analytics.report", {"metric_id": metric.pk}, portfolio_id=metric.portfolio_id)
    execute(take(str(task.pk), "w1"), run_report)
    task.refresh_from_db()
    return task


def rows_of(sheet: dict[str, Any]) -> list[dict[str, str]]:
    """The CSV, as any reader of CSV reads it."""
    return list(csv.DictReader(io.StringIO(as_csv(sheet).decode(), newline="")))


def value_in(rows: list[dict[str, str]], section: str, item: str, name: str) -> str:
    (row,) = [row for row in rows if (row["section"], row["item"], row["name"]) == (section, item, name)]
    return row["value"]


@pytest.fixture(autouse=True)
def _long_lease(settings: Any) -> None:
    """The thread that renews a lease does not see what a test's open transaction has written."""
    settings.TASK_LEASE_SECONDS = 300


@pytest.fixture
def book():
    """All in AAA from the first day on: the portfolio's returns are AAA's +10 %, -10 %, +20 %, 0, -10 %."""
    make_prices(CLOSES)
    portfolio = make_portfolio("BOOK", initial_cash=10_000, name="The book")
    make_trade(portfolio, "AAA", 100, 100)
    return portfolio


# --- The sheet ---------------------------------------------------------------------------------------------------


def test_curves_are_those_of_the_prices_held(book):
    daily = sheet_of(measured(benchmark="IDX"))["daily"]
    assert daily["dates"] == [str(day) for day in DAYS]
    assert daily["cumulative_return"] == pytest.approx([0, 0.1, -0.01, 0.188, 0.188, 0.0692])
    assert daily["drawdown"] == pytest.approx([0, 0, -0.1, 0, 0, -0.1])
    assert daily["benchmark_cumulative_return"] == pytest.approx([0, 0.05, 0, 0.1, 0.1, 0.05])


def test_ends_of_the_curves_are_the_stored_figures(book):
    sheet = sheet_of(measured())
    metrics = sheet["performance"]["metrics"]
    assert sheet["daily"]["cumulative_return"][-1] == pytest.approx(metrics["total_return"], abs=1e-12)
    assert min(sheet["daily"]["drawdown"]) == pytest.approx(metrics["max_drawdown"], abs=1e-12)


def test_curves_stay_those_of_the_performance_after_prices_and_book_have_changed(book):
    metric = measured(benchmark="IDX")
    before = sheet_of(metric)
    make_prices({"AAA": [100.0, 1.0, 2.0, 3.0, 4.0, 5.0]}, source="a correction")
    make_trade(book, "AAA", 1, 5, day=DAYS[5])
    after = sheet_of(AnalyticsMetric.objects.get(pk=metric.pk))
    assert (after["daily"], after["performance"]) == (before["daily"], before["performance"])
    made = after["provenance"]
    assert (made["ledger_version"], made["ledger_version_now"]) == (1, 2)
    assert made["price_version_now"] == made["price_version"] + 1


def test_change_since_the_figures_were_calculated_is_said_on_the_page(book):
    metric = measured()
    book_cash_flow("BOOK", Decimal(500), DAYS[5])
    page = files_of(AnalyticsMetric.objects.get(pk=metric.pk))["html"].decode()
    assert "The book has changed since these figures were calculated: ledger version 1 then, 2 when" in page


def test_positions_have_weight_and_unrealized_gain_of_the_latest_closes(book):
    positions = sheet_of(measured())["positions"]
    (row,) = positions["rows"]
    assert (row["symbol"], row["quantity"], row["price"]) == ("AAA", 100, 106.92)
    assert (row["value"], row["unrealized_pnl"]) == (pytest.approx(10_692), pytest.approx(692))  # 100 x (106.92 - 100)
    assert (row["weight"], positions["as_of"]) == (1.0, str(DAYS[-1]))


def test_value_is_of_cash_and_positions_of_one_moment(book, monkeypatch):
    """A trade is booked after the performance was read, and another between cash and positions."""
    metric = measured()
    make_trade(book, "AAA", -50, 100, day=DAYS[5])

    def valued_after_a_trade(portfolios: list[Portfolio]) -> dict[str, Valuation]:
        if Trade.objects.count() < 3:
            make_trade(book, "AAA", -10, 100, day=DAYS[5])
        return value_portfolios(portfolios)

    monkeypatch.setattr("apps.analytics.reports.standing.value_portfolios", valued_after_a_trade)
    sheet = sheet_of(metric)
    positions = sheet["positions"]
    assert positions["cash"] == 6_000  # 60 sold at 100
    assert positions["value"] == pytest.approx(6_000 + 40 * 106.92)
    assert positions["ledger_version"] == sheet["provenance"]["ledger_version_now"] == 3


def test_position_without_a_price_is_null_with_the_reason(book):
    metric = measured()
    Instrument.objects.create(symbol="BARE")
    make_trade(book, "BARE", 1, 5, day=DAYS[5])
    positions = sheet_of(AnalyticsMetric.objects.get(pk=metric.pk))["positions"]
    bare = next(row for row in positions["rows"] if row["symbol"] == "BARE")
    assert (bare["value"], bare["weight"], positions["value"]) == (None, None, None)
    assert positions["reason"] == "no price of BARE"


def test_limit_that_nobody_has_looked_at_is_unknown_and_never_calm(book):
    create_limit("BOOK", "leverage", {"threshold_value": 1.5})
    (limit,) = sheet_of(measured())["limits"]["rows"]
    assert (limit["kind"], limit["threshold_value"], limit["warning_threshold"]) == (
        "leverage",
        1.5,
        pytest.approx(1.2),
    )
    assert (limit["status"], limit["current_value"]) == ("unknown", None)
    assert "not evaluated yet" in limit["reason"]


def test_limit_that_is_switched_off_is_left_out(book):
    create_limit("BOOK", "leverage", {"threshold_value": 1.5, "active": False})
    assert sheet_of(measured())["limits"]["rows"] == []


def test_years_compound_their_own_days(book):
    """Two years: the six days of January 2022, and two days around the end of 2021 before them."""
    make_prices({"OLD": [10.0, 11.0, 22.0]}, start=DAYS[0] - timedelta(days=4))  # Thursday and Friday, then Monday
    old = make_portfolio("OLD", initial_cash=10, inception_date=DAYS[0] - timedelta(days=4))
    make_trade(old, "OLD", 1, 10, day=DAYS[0] - timedelta(days=4))
    years = sheet_of(measured("OLD", start_date="2021-12-01"))["yearly_returns"]
    assert [(row["year"], row["return"]) for row in years] == [(2021, pytest.approx(0.1)), (2022, pytest.approx(1.0))]


def test_rolling_figures_of_a_short_series_are_null_with_the_reason(book):
    daily = sheet_of(measured())["daily"]
    assert (daily["rolling_sharpe"], daily["rolling_window_days"]) == (None, None)
    assert daily["rolling_reason"] == "A rolling figure needs 42 returns or more; there are 5"


def test_rolling_volatility_is_that_of_the_days_before():
    closes = (100 * np.cumprod(1 + np.random.default_rng(7).normal(0, 0.01, 60))).tolist()
    make_prices({"AAA": closes})
    make_trade(make_portfolio("BOOK", initial_cash=10_000), "AAA", 1, 100)
    daily = sheet_of(measured(end_date=str(trading_days(60)[-1])))["daily"]
    last = np.array(daily["return"][-21:])
    assert daily["rolling_window_days"] == 21
    assert daily["rolling_volatility"][-1] == pytest.approx(last.std(ddof=1) * 252**0.5)
    assert daily["rolling_volatility"][:21] == [None] * 21


# --- The files ---------------------------------------------------------------------------------------------------


def test_all_formats_show_the_same_figure(book):
    files = files_of(measured(benchmark="IDX"))
    assert sorted(files) == FORMATS
    assert json.loads(files["json"])["performance"]["metrics"]["total_return"] == pytest.approx(0.0692)
    assert b"metrics,total_return,value,0.0692" in files["csv"]
    assert "6.92 %" in files["html"].decode()
    assert files["pdf"].startswith(b"%PDF-")


def test_same_sheet_gives_the_same_bytes(book):
    sheet, now = sheet_of(measured(benchmark="IDX")), timezone.now()
    assert make_files(sheet, now, lambda _: None) == make_files(sheet, now, lambda _: None)


def test_page_needs_nothing_from_elsewhere_and_runs_nothing(book):
    page = files_of(measured(benchmark="IDX"))["html"].decode()
    addresses = set(re.findall(r'https?://[^"\s<)]+', page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, which nobody fetches
    assert not re.search(r"<script|<link|<iframe|@import|\son\w+=|url\((?!#)", page)
    assert page.count("<svg") == 4  # two rolling charts need more days


def test_ids_in_a_page_are_used_once(book):
    ids = re.findall(r'\sid="([^"]*)"', files_of(measured(benchmark="IDX"))["html"].decode())
    assert len(ids) == len(set(ids)) > 0


def test_every_drawing_says_in_words_what_it_shows(book):
    page = files_of(measured(benchmark="IDX"))["html"].decode()
    assert 'aria-label="Cumulative return. Cumulative return by day, from 0.0 % to 6.9 %."' in page
    assert page.count('role="img"') == page.count("<svg")


def test_name_that_looks_like_markup_stays_text():
    make_prices(CLOSES)
    name = '<script>alert(1)</script> #set page(paper: "a0") $x$ {{ page }} \\'
    make_trade(make_portfolio("BOOK", initial_cash=10_000, name=name), "AAA", 100, 100)
    files = files_of(measured())
    page = files["html"].decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; #set page(paper: &quot;a0&quot;) $x$ {{ page }} \\" in page
    assert b"/MediaBox" in files["pdf"]
    assert json.loads(files["json"])["portfolio"]["name"] == name


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_name_that_looks_like_a_formula_stays_text_in_a_spreadsheet(name):
    make_prices(CLOSES)
    make_portfolio("BOOK", name=name)
    rows = rows_of(sheet_of(measured()))
    assert value_in(rows, "portfolio", "", "name") == f"'{name}"


def test_negative_number_in_the_csv_stays_a_number(book):
    rows = rows_of(sheet_of(measured()))
    assert float(value_in(rows, "metrics", "max_drawdown", "value")) == pytest.approx(-0.1)
    assert float(value_in(rows, "daily", str(DAYS[2]), "return")) == pytest.approx(-0.1)


def test_figure_is_in_the_csv_once(book):
    rows = rows_of(sheet_of(measured(benchmark="IDX")))
    years = [(row["item"], row["name"]) for row in rows if row["section"] == "yearly_returns"]
    assert years == [("2022", "return"), ("2022", "benchmark_return"), ("2022", "days")]
    places = [(row["section"], row["item"], row["name"]) for row in rows if row["name"] != "warning"]
    assert len(places) == len(set(places))


def test_name_of_several_lines_with_commas_and_quotes_comes_back_from_the_csv():
    make_prices(CLOSES)
    make_portfolio("BOOK", name='One, "two"\nthree')
    rows = rows_of(sheet_of(measured()))
    assert value_in(rows, "portfolio", "", "name") == 'One, "two"\nthree'


def test_numbers_in_the_csv_are_the_same_doubles_as_in_the_json(book):
    sheet = sheet_of(measured(benchmark="IDX"))
    rows = rows_of(sheet)
    for name, value in sheet["performance"]["metrics"].items():
        assert value_in(rows, "metrics", name, "value") == ("" if value is None else repr(value))


@pytest.mark.parametrize("last_day", [1, 5])
def test_series_without_a_benchmark_and_of_one_return_gives_every_format(book, last_day):
    files = files_of(measured(end_date=str(DAYS[last_day])))
    assert sorted(files) == FORMATS
    assert "no benchmark" in files["html"].decode()
    assert "NaN" not in files["json"].decode()


def test_cash_alone_gives_every_format_with_reasons():
    make_prices(CLOSES)
    make_portfolio("BOOK")
    page = files_of(measured(benchmark="IDX"))["html"].decode()
    assert "The returns do not vary." in page
    assert "zero volatility" in page


def test_loss_of_everything_gives_every_format():
    make_prices({"AAA": [100.0, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9]})
    make_trade(make_portfolio("BOOK", initial_cash=10_000), "AAA", 100, 100)
    files = files_of(measured())
    assert sorted(files) == FORMATS
    assert f"{MINUS}100.00 %" in files["html"].decode()


@pytest.mark.slow
def test_sample_book_fits_the_size_that_a_mail_takes():
    """Eight years of days: the figures of sample_data/README.md, the page below 1.5 MB, four pages of A4 at most."""
    call_command("load_sample_book", verbosity=0)
    metric = measured("PORTFOLIO_001", start_date="2015-01-02", end_date="2022-12-28")
    files = files_of(metric)
    assert len(files["html"]) < 1_500_000
    assert len(files["pdf"]) < 1_000_000
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", files["pdf"])) <= 4
    assert files["html"].decode().count("<svg") == 6
    positions = json.loads(files["json"])["positions"]
    assert (round(positions["value"], 2), round(positions["cash"], 2)) == (3_631_775.22, 6_833.52)


# --- Kept --------------------------------------------------------------------------------------------------------


def test_task_keeps_a_file_of_each_format_and_says_which(book):
    metric = measured()
    task = reported(metric)
    assert task.status == "succeeded", task.error
    kept = {report.format: report for report in Report.objects.filter(metric=metric)}
    assert sorted(kept) == FORMATS
    told = {row["format"]: row for row in task.result["files"]}
    for name, report in kept.items():
        assert (told[name]["sha256"], told[name]["size_bytes"]) == (report.sha256, len(report.content))
    assert kept["pdf"].file_name == f"BOOK-{DAYS[0]}-{DAYS[-1]}-tear-sheet.pdf"


def test_report_made_again_takes_the_place_of_the_first(book):
    metric = measured()
    reported(metric)
    first = Report.objects.get(metric=metric, format="json")
    make_trade(book, "AAA", -1, 106, day=DAYS[5])
    second_task = reported(metric)
    again = Report.objects.get(metric=metric, format="json")
    assert (again.pk, again.task_id) == (first.pk, second_task.pk)
    assert json.loads(bytes(again.content))["positions"]["rows"][0]["quantity"] == 99


def test_report_that_is_stored_late_does_not_take_the_place_of_a_newer_one(book):
    metric = measured()
    task = make_task("analytics.report", {"metric_id": metric.pk}, portfolio_id="BOOK")
    late = run_report(Job(task))
    make_trade(book, "AAA", -1, 106, day=DAYS[5])
    reported(metric)
    late.store()
    kept = Report.objects.get(metric=metric, format="json")
    assert json.loads(bytes(kept.content))["positions"]["rows"][0]["quantity"] == 99


def test_loss_of_more_than_everything_gives_every_format_up_to_its_day():
    make_prices({"AAA": [100.0, 110.0, 250.0, 118.0, 100.0, 100.0]})
    make_trade(make_portfolio("BOOK", initial_cash=10_000), "AAA", -100, 100)  # 20,000 of cash, and 100 owed
    metric = measured()
    daily = sheet_of(metric)["daily"]
    assert daily["dates"] == [str(day) for day in DAYS[:3]]
    assert daily["cumulative_return"] == pytest.approx([0, -0.1, -1.5])  # 20,000 - 100 x 250 is -5,000
    files = files_of(metric)
    assert sorted(files) == FORMATS
    assert f"worth -5000.00 on {DAYS[2]}: there are no returns after that day" in files["html"].decode()


def test_reports_of_the_latest_performances_alone_are_kept(book, settings):
    settings.REPORTS_KEPT = 2
    metrics = [measured(end_date=str(day)) for day in DAYS[2:5]]
    for metric in metrics:
        reported(metric)
    kept = set(Report.objects.values_list("metric", flat=True))
    assert kept == {metrics[1].pk, metrics[2].pk}


def test_report_goes_with_its_performance(book):
    metric = measured()
    reported(metric)
    metric.delete()
    assert not Report.objects.exists()


def test_performance_that_is_gone_fails_the_task_with_the_remedy(book):
    metric = measured()
    task = make_task("analytics.report", {"metric_id": metric.pk}, portfolio_id="BOOK")
    metric.delete()
    execute(take(str(task.pk), "w1"), run_report)
    task.refresh_from_db()
    assert (task.status, task.error["code"]) == ("failed", "not_found")
