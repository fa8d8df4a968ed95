"""The overview: what a row says of its portfolio, what waits, and what it costs to say so."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.dashboard.pages import overview, portfolio_head
from apps.dashboard.templatetags.figures import DASH
from apps.dashboard.tests.portfolio_pages import data, signed_in, words
from apps.portfolios.histories import refresh_histories
from apps.portfolios.models import Instrument, Portfolio, Position
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade
from apps.risk.halting import set_trading_state_of_all
from apps.risk.monitoring import monitor_row
from apps.risk.tests.alerting import a_breach
from apps.risk.tests.desks import make_limit

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
# What an engine tells, as far as the overview shows it.
LIVE = {
    "event": "analytics.updated",
    "value": 1_234.0,
    "gross_exposure": 140.0,
    "day_pnl": None,
    "day_pnl_pct": None,
    "var_99": None,
    "expected_shortfall_975": 12.5,
    "as_of": "2021-12-31",
    "quoted_at": None,
    "reasons": {"day_pnl": "no close before", "var_99": "AAA has 3 returns", "quoted_at": "no quote is newer"},
}


@pytest.fixture
def book() -> Portfolio:
    """10 AAA of 14 at the last close, 2022-01-07, and 900 of cash."""
    make_prices()
    portfolio = make_portfolio("BOOK")
    make_trade(portfolio, "AAA", 10, 10)
    return portfolio


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def tell(**changes: Any) -> None:
        newest = {"analytics:updates:BOOK": {**LIVE, **changes}}
        monkeypatch.setattr(portfolio_head, "newest_data", lambda topics, event: newest)

    return tell


def fragment(target: str, client: Client | None = None) -> str:
    answer = (client or signed_in()).get("/", headers={"HX-Request": "true", "HX-Target": target})
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def title_of(figure: str, html: str) -> str | None:
    """Of the first row's."""
    found = re.search(rf'<span data-figure="{figure}"[^>]*>', html)
    assert found, html
    title = re.search(r'title="([^"]*)"', found[0])
    return title and title[1]


def row(html: str, portfolio_id: str) -> str:
    return html.partition(f'data-portfolio="{portfolio_id}"')[2].partition("</tr>")[0]


def run_monitor() -> None:
    monitor = monitor_row()
    monitor.enabled, monitor.last_run_at = True, timezone.now()
    monitor.save()


# Trading


def test_halt_of_all_portfolios_shows_on_each_with_its_reason(book):
    Portfolio.objects.update(trading_state="reducing")
    set_trading_state_of_all("halted", "exchange <down>", None)
    shown = fragment("portfolios")
    assert 'title="halted: no trade is approved, of all portfolios: exchange &lt;down&gt;">halted</span>' in shown
    assert "Trading of all portfolios: halted exchange <down>" in words(shown)


def test_portfolios_own_state_shows_where_it_is_the_stricter(book):
    Portfolio.objects.update(trading_state="halted")
    set_trading_state_of_all("reducing", "quarter end", None)
    shown = fragment("portfolios")
    assert 'title="halted: no trade is approved">halted</span>' in shown
    assert "Trading of all portfolios: reducing quarter end" in words(shown)


def test_what_is_halted_twice_is_said_to_be_so_for_all(book):
    """To lift the portfolio's own state would change nothing."""
    Portfolio.objects.update(trading_state="halted")
    set_trading_state_of_all("halted", "", None)
    assert 'title="halted: no trade is approved, of all portfolios">halted</span>' in fragment("portfolios")


def test_halt_that_was_lifted_does_not_show(book):
    set_trading_state_of_all("halted", "exchange down", None)
    set_trading_state_of_all("active", "it is up", None)
    shown = words(fragment("portfolios"))
    assert "halted" not in shown
    assert "Trading of all portfolios" not in shown


# Limits


def test_limits_that_are_not_in_force_count_for_nothing(book):
    run_monitor()
    now = timezone.now()
    seen = {"evaluated_at": now + HOUR, "current_value": 5.0, "status": "ok", "status_reason": ""}
    make_limit(book, "gross_exposure", 10.0, **seen)
    make_limit(book, "var_99", 4.0, effective_from=now + HOUR, status="breach")
    make_limit(book, "leverage", 4.0, effective_to=now - HOUR, status="breach")
    shown = fragment("portfolios")
    assert '<span class="badge good" >ok</span>' in shown
    assert "no limit" in words(shown.partition('data-bar="var_99"')[2].partition("</td>")[0])


def test_portfolio_of_which_no_limit_is_in_force_has_none(book):
    run_monitor()
    make_limit(book, "var_99", 4.0, effective_to=timezone.now() - HOUR)
    assert "no limits" in words(fragment("portfolios"))


def test_bar_stands_against_the_tightest_limit_of_its_kind(book):
    for threshold, fields in ((300.0, {}), (200.0, {}), (100.0, {"effective_to": timezone.now() - HOUR})):
        make_limit(book, "var_99", threshold, current_value=150.0, **fields)
    shown = fragment("portfolios")
    assert 'data-bar="var_99" data-threshold="200.0"' in shown
    assert "VaR 99 %: 75 % of the limit" in shown  # 150 / 200


# Figures, and why there is none


def test_figures_at_closes_say_of_which_and_what_comes_with_live_ones(book):
    shown = fragment("portfolios")
    assert 'data-none="closes of 2022-01-07"' in shown
    assert "1,040 USD" in words(shown)
    assert title_of("value", shown) is None
    for figure in ("day_pnl", "day_pnl_pct", "var_99", "expected_shortfall_975"):
        assert title_of(figure, shown) == portfolio_head.NOT_LIVE


def test_live_figures_say_their_own_closes_and_reasons(book, told):
    told()
    shown = fragment("portfolios")
    assert 'data-none="closes of 2021-12-31" title="no quote is newer"' in shown
    assert title_of("day_pnl", shown) == "no close before"
    assert title_of("var_99", shown) == "AAA has 3 returns"
    assert title_of("expected_shortfall_975", shown) is None


def test_live_figure_that_is_null_is_not_taken_from_its_limit(book, told):
    make_limit(book, "var_99", 300.0, current_value=150.0)
    told()
    assert "VaR 99 %: unknown" in fragment("portfolios")


def test_book_without_any_price_is_not_cash_only(book):
    make_portfolio("EMPTY")
    bare = Instrument.objects.create(symbol="BARE")
    Position.objects.create(portfolio=make_portfolio("PRICELESS"), instrument=bare, quantity=1, average_cost=1)
    shown = fragment("portfolios")
    assert 'data-none="cash only"' in row(shown, "EMPTY")
    assert 'data-none="no price"' in row(shown, "PRICELESS")
    assert "data-ageless" in row(shown, "EMPTY")
    assert "data-ageless" not in row(shown, "PRICELESS")
    assert title_of("value", row(shown, "PRICELESS")) == "no price of BARE"


def test_portfolio_of_too_few_days_says_why_there_is_no_line(book):
    assert f'title="fewer than two days have a value">{DASH}' in fragment("portfolios")


def test_line_is_of_the_newest_days_the_oldest_first(book, monkeypatch):
    monkeypatch.setattr(overview, "SPARK_DAYS", 3)
    refresh_histories()
    make_portfolio("EMPTY")
    assert overview._sparks([book]) == {"BOOK": [1020.0, 1030.0, 1040.0]}  # 900 and 10 of AAA at 12, 13 and 14


# What it costs


def queries_of(target: str) -> list[str]:
    client = signed_in()
    with CaptureQueriesContext(connection) as caught:
        fragment(target, client)
    return [each["sql"] for each in caught]


@pytest.mark.parametrize("target", ["portfolios", "alerts", "freshness", ""])
def test_more_portfolios_need_no_more_queries(book, target):
    run_monitor()
    make_limit(book, "var_99", 300.0)
    before = len(queries_of(target))
    for number in range(4):
        another = make_portfolio(f"ANOTHER_{number}")
        make_trade(another, "BBB", 1, 50)
        make_limit(another, "var_99", 300.0)
        a_breach(another).save()
    assert len(queries_of(target)) == before


@pytest.mark.parametrize(
    ("target", "others"),
    [
        ("freshness", ("portfolio_data", "positions", "risk_limits", "risk_events")),
        ("alerts", ("portfolio_data", "positions", "risk_limits", "risk_monitor")),
        ("portfolios", ("risk_events",)),
    ],
)
def test_fragment_reads_nothing_of_the_others(book, target, others):
    read = " ".join(queries_of(target))
    assert [table for table in others if f'"{table}"' in read] == []


# What is followed


def test_who_sees_every_portfolio_follows_patterns(book):
    page = signed_in("risk_manager").get("/").content.decode()
    followed = data(page, "overview-data")
    assert (followed["figures"], followed["alerts"]) == (["analytics:updates:*"], ["risk:alerts:*"])
    assert "are live" not in words(page)


def test_a_desk_follows_as_many_as_one_socket_may_and_says_so(settings):
    for name in "ABCD":
        make_portfolio(name)
    settings.WEBSOCKET_MAX_SUBSCRIPTIONS = 7  # health, alerts of all, and of two portfolios two each
    page = signed_in().get("/").content.decode()
    followed = data(page, "overview-data")
    assert followed["figures"] == ["analytics:updates:A", "analytics:updates:B"]
    assert followed["alerts"] == ["risk:alerts:A", "risk:alerts:B", "risk:alerts:all"]
    assert "Only the first 2 portfolios are live" in words(page)
    settings.WEBSOCKET_MAX_SUBSCRIPTIONS = 10
    page = signed_in().get("/").content.decode()
    assert len(data(page, "overview-data")["figures"]) == 4
    assert "are live" not in words(page)


# Alerts


def test_alerts_beyond_those_shown_are_counted_and_linked(book):
    for number in range(overview.ALERTS_SHOWN + 3):
        a_breach(book, message=f"breach {number}").save()
    shown = fragment("alerts")
    assert shown.count("data-alert") == 20
    link = re.search(r'<a id="alerts-left" href="([^"]*)">(.*?)</a>', shown)
    assert link
    assert link[2] == "3 more wait"
    listed = signed_in().get(link[1].replace("&amp;", "&"))
    assert "23 alerts of this choice" in words(listed.content.decode())


def test_as_many_alerts_as_are_shown_leave_none(book):
    for _ in range(overview.ALERTS_SHOWN):
        a_breach(book).save()
    assert "alerts-left" not in fragment("alerts")


def test_ages_of_alerts_are_in_no_live_region_and_news_are(book):
    page = signed_in().get("/").content.decode()
    assert re.search(r'<p id="news"[^>]* role="status">', page)
    alerts = re.search(r'<div id="alerts"[^>]*>', page)
    assert alerts
    assert "aria-live" not in alerts[0]


def test_what_can_be_focused_keeps_the_focus_by_its_id(book):
    a_breach(book).save()
    client = signed_in("risk_manager")
    for target in ("portfolios", "alerts"):
        focusable = re.findall(r"<(?:a|button|div)\b[^>]*(?:href|type|tabindex)=[^>]*>", fragment(target, client))
        assert focusable
        assert all(' id="' in each for each in focusable), focusable
