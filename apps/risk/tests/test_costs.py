"""What an estimate may take: accepted up to the limit, above it refused with the numbers and what would be right."""

import re
from typing import Any

import pytest

from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade
from apps.risk.costs import check_backtest_cost, check_cost
from apps.risk.errors import TooExpensiveError
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db

URL = "/api/v1/sprint3/analytics/risk"
BACKTEST = {"methods": ["historical"], "distribution": "normal", "paths": 1_000, "window_days": 10, "test_days": 4}


@pytest.fixture
def book():
    make_prices({"AAA": [10.0] * 5, "BBB": [50.0] * 5, "CCC": [7.0] * 5})
    portfolio = make_portfolio("BOOK", initial_cash=100_000)
    for symbol in ("AAA", "BBB", "CCC"):
        make_trade(portfolio, symbol, 10, 10)
    return portfolio


def simulated(paths: int, times: int = 1) -> list[dict[str, Any]]:
    return [{"method": "monte_carlo", "paths": paths}] * times


def refusal(check: Any, *arguments: Any) -> TooExpensiveError:
    with pytest.raises(TooExpensiveError) as caught:
        check(*arguments)
    return caught.value


def proposed(error: TooExpensiveError) -> int:
    """The number that the remedy names first."""
    return int(re.search(r"of ([\d,]+) or less", error.remedy)[1].replace(",", ""))


# --- the window


def test_window_at_the_limit_is_accepted(book, settings):
    settings.RISK_MAX_WINDOW_CELLS = 3_000
    check_cost("BOOK", [{"method": "historical"}], 1_000)


def test_window_above_the_limit_is_refused_with_its_numbers(book, settings):
    settings.RISK_MAX_WINDOW_CELLS = 2_999
    error = refusal(check_cost, "BOOK", [{"method": "historical"}], 1_000)
    assert error.detail == "A window of 1,000 days of 3 symbols is 3,000 returns; the limit is 2,999."
    assert error.remedy == "Ask for window_days of 999 or less."
    assert (error.code, error.attr, error.status) == ("too_expensive", "window_days", 400)


def test_proposed_window_is_the_longest_that_is_accepted(book, settings):
    settings.RISK_MAX_WINDOW_CELLS = 2_000
    longest = proposed(refusal(check_cost, "BOOK", [], 1_000))
    check_cost("BOOK", [], longest)
    refusal(check_cost, "BOOK", [], longest + 1)


def test_symbol_that_was_sold_again_counts(book, settings):
    settings.RISK_MAX_WINDOW_CELLS = 2_999
    make_trade(book, "CCC", -10, 10)
    assert "3 symbols" in refusal(check_cost, "BOOK", [], 1_000).detail


def test_symbols_of_other_portfolios_do_not_count(book, settings):
    settings.RISK_MAX_WINDOW_CELLS = 1_000
    make_trade(make_portfolio("SMALL"), "AAA", 10, 10)
    check_cost("SMALL", [], 1_000)


def test_portfolio_that_never_traded_costs_no_window(settings):
    settings.RISK_MAX_WINDOW_CELLS = 1_000
    make_portfolio("EMPTY")
    check_cost("EMPTY", simulated(1_000), 25_000)


# --- simulated paths


def test_paths_at_the_limit_are_accepted(book, settings):
    settings.RISK_MAX_DRAWS = 3_000_000
    check_cost("BOOK", simulated(1_000_000), 500)


def test_paths_above_the_limit_are_refused_with_their_numbers(book, settings):
    settings.RISK_MAX_DRAWS = 2_999_999
    error = refusal(check_cost, "BOOK", simulated(1_000_000), 500)
    assert error.detail == "1,000,000 paths of 3 symbols are 3,000,000 draws; the limit is 2,999,999."
    assert error.remedy == "Ask for paths of 999,999 or less."
    assert (error.code, error.attr) == ("too_expensive", "paths")


def test_both_distributions_of_a_comparison_are_drawn(book, settings):
    settings.RISK_MAX_DRAWS = 599_999
    error = refusal(check_cost, "BOOK", simulated(100_000, times=2), 500)
    assert "100,000 paths of 3 symbols for 2 distributions are 600,000 draws" in error.detail
    check_cost("BOOK", simulated(proposed(error), times=2), 500)
    refusal(check_cost, "BOOK", simulated(proposed(error) + 1, times=2), 500)


def test_window_shorter_than_the_symbols_draws_no_more_than_its_days(book, settings):
    settings.RISK_MAX_DRAWS = 2_000
    check_cost("BOOK", simulated(1_000), 2)
    refusal(check_cost, "BOOK", simulated(1_000), 3)


def test_methods_that_draw_nothing_have_no_paths_to_pay_for(book, settings):
    settings.RISK_MAX_DRAWS = 1
    check_cost("BOOK", [{"method": "parametric", "paths": 1_000_000}], 500)


# --- backtests


def test_backtest_at_the_limit_is_accepted(book, settings):
    settings.RISK_MAX_DRAWS = 120  # 10 days of 3 symbols, 4 times
    check_backtest_cost("BOOK", BACKTEST)


def test_backtest_above_the_limit_is_refused_with_its_numbers(book, settings):
    settings.RISK_MAX_DRAWS = 119
    error = refusal(check_backtest_cost, "BOOK", BACKTEST)
    assert error.detail == "4 days of 30 products or draws each are 120; the limit is 119."
    assert error.remedy == "Ask for test_days of 3 or less, a shorter window or fewer paths."
    assert (error.code, error.attr) == ("too_expensive", "test_days")
    check_backtest_cost("BOOK", {**BACKTEST, "test_days": proposed(error)})


def test_paths_of_student_t_are_drawn_anew_each_day(book, settings):
    settings.RISK_MAX_DRAWS = 3_999
    asked = {**BACKTEST, "methods": ["monte_carlo"], "distribution": "student_t"}
    assert "4 days of 1,000 products or draws each" in refusal(check_backtest_cost, "BOOK", asked).detail


def test_paths_of_the_normal_distribution_are_drawn_once(book, settings):
    settings.RISK_MAX_DRAWS = 3_999
    check_backtest_cost("BOOK", {**BACKTEST, "methods": ["monte_carlo"]})


def test_window_of_a_backtest_has_the_limit_of_any_window(book, settings):
    settings.RISK_MAX_WINDOW_CELLS = 29
    assert refusal(check_backtest_cost, "BOOK", BACKTEST).attr == "window_days"


# --- the API


@pytest.mark.parametrize(
    ("path", "body", "attr"),
    [
        ("analyze", {"window_days": 1_000}, "window_days"),
        ("analyze", {"window_days": 500, "method": "monte_carlo", "paths": 1_000_000}, "paths"),
        ("compare", {"window_days": 1_000}, "window_days"),
        ("compare", {"window_days": 500, "paths": 1_000_000}, "paths"),
        ("backtest", {"window_days": 1_000}, "window_days"),
        ("backtest", {"window_days": 500, "test_days": 2_500}, "test_days"),
    ],
)
def test_too_expensive_request_is_answered_and_makes_no_task(book, settings, path, body, attr):
    settings.RISK_MAX_WINDOW_CELLS, settings.RISK_MAX_DRAWS = 1_500, 1_000_000
    answer = client_of().post(f"{URL}/{path}", {"portfolio_id": "BOOK", **body}, format="json")
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert (error["code"], error["attr"]) == ("too_expensive", attr)
    assert re.search(r"the limit is [\d,]+\. Ask for \w+ of [\d,]+ or less", error["detail"])
    assert not Task.objects.exists()


@pytest.mark.parametrize("path", ["analyze", "compare", "backtest"])
def test_same_request_within_the_limits_is_a_task(book, settings, path):
    settings.RISK_MAX_WINDOW_CELLS, settings.RISK_MAX_DRAWS = 1_500, 1_000_000
    asked = {"portfolio_id": "BOOK", "window_days": 500, "paths": 1_000}
    assert client_of().post(f"{URL}/{path}", asked, format="json").status_code == 202
    assert Task.objects.count() == 1
