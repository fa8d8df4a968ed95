"""A portfolio's page: which one, for whom, its live figures and its history."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.dashboard.latest import newest_data
from apps.dashboard.pages import portfolio_head, portfolio_history
from apps.dashboard.templatetags.figures import DASH, MINUS
from apps.dashboard.tests.portfolio_pages import (
    ANALYSIS,
    CLOSES,
    DAYS,
    analyze,
    data,
    fragment,
    make_book,
    make_spread,
    signed_in,
    words,
)
from apps.portfolios.cash_flows import book_cash_flow
from apps.portfolios.histories import refresh_history
from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, make_user
from apps.realtime.topics import publish
from apps.risk.halting import set_trading_state_of_all
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

OWN_CARDS = ("value", "stored", "components", "scenarios", "backtest", "stress")


@pytest.fixture
def book() -> Portfolio:
    return make_book()


# Which portfolio


def test_page_without_a_portfolio_opens_the_first_and_then_the_last_one_looked_at():
    make_portfolio("A_BOOK")
    make_portfolio("B_BOOK")
    client = signed_in()
    assert client.get("/portfolios").headers["Location"] == "/portfolios/A_BOOK"
    client.get("/portfolios/B_BOOK")
    assert client.get("/portfolios").headers["Location"] == "/portfolios/B_BOOK"


def test_user_without_a_portfolio_is_told_what_would_bring_one():
    assert "There is no portfolio that you may see" in signed_in().get("/portfolios").content.decode()


def test_portfolio_of_another_desk_is_not_there():
    make_portfolio("THEIRS", groups=["others"])
    assert signed_in().get("/portfolios/THEIRS").status_code == 404


def test_other_portfolios_are_offered_and_the_shown_one_is_chosen():
    make_portfolio("A_BOOK")
    make_portfolio("B_BOOK")
    shown = signed_in().get("/portfolios/B_BOOK").content.decode()
    assert re.search(r'<option value="A_BOOK" data-address="/portfolios/A_BOOK"\s*>', shown)
    assert re.search(r'<option value="B_BOOK" data-address="/portfolios/B_BOOK"\s*selected>', shown)


def test_closed_portfolio_can_still_be_read():
    portfolio = make_portfolio("BOOK")
    Portfolio.objects.filter(pk=portfolio.pk).update(closed_at=timezone.now())
    shown = signed_in().get("/portfolios/BOOK").content.decode()
    assert "BOOK (closed)" in shown


def test_name_is_shown_as_it_is_written_and_not_as_html():
    make_portfolio("BOOK", name="<b>Long & short</b>" + "x" * 150)
    shown = signed_in().get("/portfolios/BOOK").content.decode()
    assert "&lt;b&gt;Long &amp; short&lt;/b&gt;xxx" in shown


# Who may do what


def test_viewer_is_offered_no_job_and_no_trade(book):
    shown = signed_in("viewer").get("/portfolios/BOOK").content.decode()
    assert 'id="jobs"' not in shown
    assert 'id="whatif"' not in shown
    assert "A trader of this desk can compute one" in shown


def test_trader_is_offered_every_job_by_every_method(book):
    shown = signed_in("trader").get("/portfolios/BOOK").content.decode()
    assert set(re.findall(r'data-job="(\w+)"', shown)) == {"analyze", "stress", "backtest", "performance"}
    assert re.search(r'<option value="historical">Historical</option>.*Monte Carlo', shown)


def test_operator_reads_no_book(book):
    assert signed_in("operator").get("/portfolios/BOOK").status_code == 403


def test_page_has_no_inline_script_and_no_inline_style(book):
    analyze()
    shown = signed_in("trader").get("/portfolios/BOOK").content.decode()
    assert "style=" not in shown
    assert "hx-on" not in shown
    assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", shown))


# Whether it may trade


def test_halt_of_all_portfolios_is_in_force_on_each(book):
    assert ">active</span></dd>" in fragment("standing")
    set_trading_state_of_all("halted", "exchange <down>", None)
    shown = fragment("standing")
    assert "Trading halted of all portfolios: exchange <down>" in words(shown)
    assert 'id="trading-state" class="badge bad"' in shown


def test_portfolios_own_state_is_shown_where_it_is_the_stricter(book):
    Portfolio.objects.update(trading_state="halted")
    set_trading_state_of_all("reducing", "", None)
    shown = fragment("standing")
    assert "Trading halted Live figures" in words(shown)
    assert "of all portfolios" not in shown


# Nothing yet


@pytest.mark.parametrize("card", OWN_CARDS)
def test_card_without_figures_says_what_would_fill_it(card):
    make_portfolio("BOOK")
    shown = words(fragment(card))
    assert re.search(r"No (history|VaR|analysis|backtest|stress test) .* yet\.", shown), shown


def test_figures_without_the_engine_are_those_of_the_closes_and_say_why_the_rest_is_missing(book, monkeypatch):
    monkeypatch.setattr(portfolio_head, "newest_data", lambda topics, event: {})
    shown = fragment("figures")
    assert "100,428" in words(shown)  # 90,000 in cash and 100 at 104.28264
    assert f'title="It comes with the live figures, and none have come yet.">{DASH}' in shown
    assert f"closes of {DAYS[7]}" in fragment("standing")
    assert "data-ageless" not in fragment("standing")


def test_cash_alone_is_not_of_any_day_and_does_not_grow_old():
    make_portfolio("BOOK")
    assert 'data-ageless data-none="cash only"' in fragment("standing")


# Live figures


LIVE = {
    "event": "analytics.updated",
    "value": 1_000_000.0,
    "day_pnl": -1_234.5,
    "day_pnl_pct": -0.00123,
    "drawdown": 0.05,
    "var_95": 10_000.0,
    "var_99": None,
    "var_99_pct": None,
    "expected_shortfall_975": 20_000.0,
    "gross_exposure": 1.5e6,
    "net_exposure": -500.25,
    "cash": 3.0,
    "as_of": str(DAYS[7]),
    "reasons": {"var_99": "AAA has 3 returns"},
    "quoted_at": "2026-11-28T12:00:00Z",
    "stale_symbols": ["AAA"],
    "stale_count": 3,
}


@pytest.fixture
def told(book, monkeypatch):
    def tell(**changes: Any) -> None:
        newest = {"analytics:updates:BOOK": {**LIVE, **changes}}
        monkeypatch.setattr(portfolio_head, "newest_data", lambda topics, event: newest)

    return tell


def test_live_figures_carry_their_sign_their_age_and_why_one_is_missing(told):
    told()
    shown = fragment("figures")
    assert f"{MINUS}1,234" in shown or f"{MINUS}1,235" in shown
    assert f"{MINUS}500.25" in shown
    assert 'class="negative"' in shown
    assert 'title="AAA has 3 returns"' in shown
    assert "Without a recent quote: AAA and 2 more" in words(shown)
    assert 'datetime="2026-11-28T12:00:00Z"' in fragment("standing")


def test_figures_that_are_not_live_say_so(told):
    told(reasons={"status": "No quote has come for 40 s."})
    shown = fragment("figures")
    assert "Not live: No quote has come for 40 s." in words(shown)
    assert 'id="not-live" class="name subtle" hidden' not in re.sub(r"\s+", " ", shown)


def test_newest_figures_are_found_behind_another_event_of_their_topic(book):
    publish("analytics:updates:FOUND", {"event": "analytics.updated", "value": 1.0})
    publish("analytics:updates:FOUND", {"event": "performance.calculated"})
    found = newest_data(["analytics:updates:FOUND"], "analytics.updated")
    assert found["analytics:updates:FOUND"]["value"] == 1.0
    assert newest_data(["analytics:updates:FOUND"])["analytics:updates:FOUND"]["event"] == "performance.calculated"
    assert newest_data(["analytics:updates:FOUND"], "another.event") == {}


# History


def test_history_says_return_and_drawdowns(book):
    refresh_history("BOOK")
    shown = words(fragment("value", range="all"))
    # Values: 100,000, 101,000, 99,900, 101,880, 101,286, 102,414.60, 99,931.68, 100,428.264.
    assert f"From {DAYS[0]} to {DAYS[7]}, 8 trading days: 100,000 became 100,428 USD." in shown
    assert "Time-weighted return +0.43 %" in shown
    assert f"deepest drawdown {MINUS}2.42 % on {DAYS[6]}" in shown  # 99,931.68 / 102,414.60 - 1
    assert f"at the last close {MINUS}1.94 %" in shown  # 100,428.264 / 102,414.60 - 1
    points = data(fragment("value", range="all"), "value-data")
    assert points["values"][-1] == 100_428.26
    assert points["drawdowns"][:3] == [0, 0, pytest.approx(99_900 / 101_000 - 1, abs=1e-6)]


def test_money_paid_in_is_no_return(book):
    book_cash_flow("BOOK", amount=Decimal(50_000), day=DAYS[7])
    refresh_history("BOOK")
    shown = words(fragment("value", range="all"))
    assert "100,000 became 150,428 USD, of which +50,000 was paid in or out. Time-weighted return +0.43 %" in shown


def test_book_that_has_lost_everything_has_no_return_any_more():
    make_prices({"AAA": CLOSES})
    make_trade(make_portfolio("BOOK", initial_cash=1_000), "AAA", -100, 100)
    refresh_history("BOOK")
    shown = words(fragment("value", range="all"))
    # 11,000 in cash and 100 sold short: 1,000 at a price of 100, nothing at 110.
    assert f"Time-weighted return {DASH}, deepest drawdown {MINUS}100.00 % on {DAYS[1]}" in shown
    assert f"It was worth nothing or less on {DAYS[1]}: there is no return and no drawdown after that day." in shown


def test_range_of_a_month_falls_from_a_peak_before_it(monkeypatch, book):
    monkeypatch.setitem(portfolio_history.RANGES, "1m", 1)
    refresh_history("BOOK")
    shown = words(fragment("value", range="1m"))
    assert f"From {DAYS[6]} to {DAYS[7]}, 2 trading days: 99,932 became 100,428" in shown
    assert f"deepest drawdown {MINUS}2.42 % on {DAYS[6]}" in shown


def test_long_history_is_grouped_and_keeps_the_newest_value_and_the_deepest_fall(monkeypatch, book):
    monkeypatch.setattr(portfolio_history, "MOST_POINTS", 3)
    refresh_history("BOOK")
    html = fragment("value", range="all")
    points = data(html, "value-data")
    assert points["dates"] == [str(DAYS[1]), str(DAYS[4]), str(DAYS[7])]
    assert points["values"][-1] == 100_428.26
    assert points["drawdowns"][-1] == pytest.approx(99_931.68 / 102_414.6 - 1, abs=1e-6)
    assert "A point is 3 days" in words(html)


def test_history_that_is_behind_the_book_looks_so(book):
    refresh_history("BOOK")
    assert "behind" not in fragment("value")
    make_trade(book, "AAA", 1, 100, day=DAYS[7])
    assert "Trades or payments were booked since" in fragment("value")


def test_unknown_range_is_a_year(book):
    refresh_history("BOOK")
    assert re.search(r'id="range-1y"[^>]*aria-pressed="true"', fragment("value", range="<x>"))


# Jobs that go on


def test_jobs_that_go_on_are_followed_by_those_who_may_see_them(book):
    owner, other = make_user("trader"), make_user("trader")
    task = make_task("risk.analyze", dict(ANALYSIS), portfolio_id="BOOK", created_by=owner)
    make_task("risk.analyze", {**ANALYSIS, "confidence": 0.9}, portfolio_id="ELSEWHERE", created_by=owner)
    assert Task.objects.filter(status="processing").count() == 2
    client = Client()
    client.force_login(owner)
    assert re.findall(r'data-running="([^"]*)"', client.get("/portfolios/BOOK").content.decode()) == [str(task.pk)]
    client.force_login(other)
    assert "data-running" not in client.get("/portfolios/BOOK").content.decode()


# Cost


def test_card_that_is_asked_for_alone_reads_nothing_of_the_others(django_assert_max_num_queries):
    make_spread()
    analyze()
    client = signed_in()
    with django_assert_max_num_queries(12):
        fragment("stored", client)


def test_page_asks_no_more_of_a_large_book(django_assert_max_num_queries):
    symbols = [f"S{number:03d}" for number in range(60)]
    make_prices({symbol: [10.0, 11.0] for symbol in symbols})
    portfolio = make_portfolio("BOOK", initial_cash=1_000_000)
    for symbol in symbols:
        make_trade(portfolio, symbol, 1, 10)
    client = signed_in("trader")
    client.get(reverse("dashboard:portfolio", args=["BOOK"]))
    with django_assert_max_num_queries(45):
        client.get(reverse("dashboard:portfolio", args=["BOOK"]))
