"""The book on a portfolio's page: limits as gauges, positions, trades, live prices, the hints of the what-if form."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError

from apps.dashboard.pages import portfolio_positions
from apps.dashboard.templatetags.figures import DASH, MINUS
from apps.dashboard.templatetags.gauges import gauge, weight_bar
from apps.portfolios.models import Instrument, Portfolio, Position
from apps.portfolios.quotes import QUOTES_KEY, RING_KEY, STATE_KEY, accept_quotes
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, make_user, trading_days
from apps.risk.limits import change_limit
from apps.risk.models import RiskLimit, RiskMonitor
from apps.risk.monitoring import monitor_row
from apps.risk.tests.desks import make_limit
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_quotes() -> Iterator[None]:
    redis_client().delete(QUOTES_KEY, STATE_KEY, RING_KEY)
    yield
    redis_client().delete(QUOTES_KEY, STATE_KEY, RING_KEY)


@pytest.fixture
def desk() -> Portfolio:
    """200 AAA bought at 10 and 20 BBB sold short at 50, now at 14 and 60; worth 10,000 + 800 - 200."""
    make_prices({"AAA": [10.0, 12.0, 14.0], "BBB": [50.0, 55.0, 60.0], "CCC": [1.0, 1.0, 1.0]})
    portfolio = make_portfolio("BOOK", initial_cash=10_000)
    make_trade(portfolio, "AAA", 200, 10)
    make_trade(portfolio, "BBB", -20, 50, day=trading_days(2)[1], external_id="a <b>", user=make_user())
    portfolio.refresh_from_db()
    return portfolio


def signed_in(role: str = "viewer") -> Client:
    client = Client()
    client.force_login(make_user(role))
    return client


def fragment(target: str, portfolio_id: str = "BOOK", role: str = "viewer", **asked: Any) -> str:
    headers = {"HX-Request": "true", "HX-Target": target}
    answer = signed_in(role).get(f"/portfolios/{portfolio_id}", asked, headers=headers)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def text_of(html: str) -> str:
    """With words for the dash of what there is none of, and for the real minus."""
    text = unescape(re.sub(r"<[^>]*>", " ", html)).replace(MINUS, "minus ").replace(DASH, "none")
    return " ".join(text.split())


def rows_of(html: str, of: str = "symbol") -> list[str]:
    return re.findall(rf'<tr data-{of}="([^"]*)"', html)


def row_of(html: str, symbol: str) -> str:
    return text_of(html.split(f'data-symbol="{symbol}"')[1].split("</tr>")[0].split(">", 1)[1])


# --- Limits ------------------------------------------------------------------------------------------------------


def evaluated(limit: RiskLimit, value: float | None, status: str, reason: str = "") -> RiskLimit:
    """As the monitor leaves it, which has run just now."""
    monitor_row()
    RiskMonitor.objects.update(last_run_at=Now(), last_run_seconds=0.1)
    seen = {"current_value": value, "status": status, "status_reason": reason}
    RiskLimit.objects.filter(pk=limit.pk).update(**seen, evaluated_at=timezone.now(), status_since=timezone.now())
    return limit


def test_limits_are_gauges_the_worst_first_with_what_is_used(desk):
    evaluated(make_limit(desk, "gross_exposure", 40_000), 10_000, "ok")
    evaluated(make_limit(desk, "var_99", 1_000), 900, "warning")
    evaluated(make_limit(desk, "leverage", 1.2), 1.5, "breach")
    shown = fragment("limits-shown")
    assert re.findall(r'aria-label="([^"]*)"', shown) == [
        "Leverage: gross exposure / value: 125 % of the limit, breach; it warns at 80 %",
        "VaR 99 %: 90 % of the limit, warning; it warns at 80 %",
        "Gross exposure: 25 % of the limit, ok; it warns at 80 %",
    ]
    assert "Value 900.00 Warns above 800.00 Limit 1,000 USD" in text_of(shown)
    assert "Value 1.50 Warns above 0.96 Limit 1.20 Since" in text_of(shown)
    assert "/limits?portfolio_id=BOOK" in shown


def test_limit_on_orders_has_no_value_and_says_when_it_is_checked(desk):
    evaluated(make_limit(desk, "order_notional", 5_000, symbol="AAA"), None, "ok", "checked with each order")
    shown = fragment("limits-shown")
    assert "AAA alone" in shown
    assert 'title="checked with each order"' in shown
    assert "Notional of an order: not known, ok" in shown


def test_limit_that_nobody_looks_at_is_unknown_whatever_it_was(desk):
    evaluated(make_limit(desk, "gross_exposure", 40_000), 10_000, "ok")
    RiskMonitor.objects.update(last_run_at=Now() - timedelta(hours=1))
    shown = fragment("limits-shown")
    assert "unknown" in text_of(shown)
    assert "the monitor has not run for" in text_of(shown)
    assert 'class="gauge unknown"' in shown


def test_limit_says_that_a_change_of_it_waits_and_that_it_only_warns(desk, settings):
    settings.LIMIT_FOUR_EYES = True
    waiting = make_limit(desk, "gross_exposure", 40_000)
    make_limit(desk, "net_exposure", 40_000, action="warn")
    change_limit(waiting.pk, {"threshold_value": 80_000.0}, user=make_user("risk_manager"), reason="more room")
    shown = text_of(fragment("limits-shown"))
    assert shown.count("change waits for approval") == 1
    assert shown.count("warns only") == 1


def test_limits_that_are_not_active_are_counted_alone(desk):
    make_limit(desk, "gross_exposure", 40_000, active=False)
    shown = fragment("limits-shown")
    assert "(1 not active)" in shown
    assert "No limit is in force on this portfolio" in shown


def test_limits_take_as_many_queries_as_one(desk, django_assert_max_num_queries):
    for threshold in range(1, 30):
        make_limit(desk, "gross_exposure", 1_000.0 * threshold)
    client, headers = signed_in(), {"HX-Request": "true", "HX-Target": "limits-shown"}
    client.get("/portfolios/BOOK", headers=headers)
    with django_assert_max_num_queries(9):
        client.get("/portfolios/BOOK", headers=headers)


def test_gauge_shows_the_limit_at_four_fifths_and_never_more_than_full():
    assert 'stroke-dasharray="80.0 200"' in gauge(1.0, 0.8, "good", "At the limit")
    assert 'stroke-dasharray="100.0 200"' in gauge(7.0, 0.8, "bad", "Far above")
    assert "> 999 %" in unescape(gauge(1e9, 0.8, "bad", "Far above"))
    assert 'stroke-dasharray="0.0 200"' in gauge(None, 0.8, "", "Unknown")
    assert "&lt;i&gt;" in gauge(0.5, 0.8, "good", "<i>")


# --- Positions ---------------------------------------------------------------------------------------------------


def test_positions_are_shown_with_value_weight_and_what_was_gained(desk):
    """10,000 - 2,000 + 1,000 of cash, 2,800 of AAA and -1,200 of BBB: 10,600."""
    shown = fragment("positions-table")
    assert rows_of(shown) == ["AAA", "BBB"]
    assert row_of(shown, "AAA") == "AAA 200 14.00 none 2,800 26.42 % +800.00"
    assert row_of(shown, "BBB") == "BBB minus 20 60.00 none minus 1,200 minus 11.32 % minus 200.00"
    assert "Positions 1 to 2 of 2, by value, largest first, at the closes of 2022-01-05" in text_of(shown)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("symbol", ["AAA", "BBB"]),
        ("-symbol", ["BBB", "AAA"]),
        ("quantity", ["BBB", "AAA"]),
        ("-price", ["BBB", "AAA"]),
        ("value", ["BBB", "AAA"]),
        ("-weight", ["AAA", "BBB"]),
        ("unrealized_pnl", ["BBB", "AAA"]),
        ("-live", ["BBB", "AAA"]),
        ("live", ["BBB", "AAA"]),  # the one without a quote comes last, either way
        ("no such column", ["AAA", "BBB"]),
    ],
)
def test_positions_are_sorted_by_every_column(desk, sort, expected):
    accept_quotes(["BBB"], [61.0], [_now_us()], "test")
    assert rows_of(fragment("positions-table", positions_sort=sort)) == expected


def test_heading_says_how_it_sorts_and_turns_it_round(desk):
    shown = fragment("positions-table", positions_sort="-weight", positions_symbol="a")
    assert shown.count("aria-sort") == 1
    assert 'aria-sort="descending"><a id="positions-by-weight"' in shown
    assert "?positions_sort=weight&amp;positions_symbol=a" in shown
    assert "?positions_sort=symbol&amp;positions_symbol=a" in shown
    assert "?positions_sort=-value&amp;positions_symbol=a" in shown


def test_positions_are_filtered_by_a_part_of_the_symbol(desk):
    assert rows_of(fragment("positions-table", positions_symbol="bb")) == ["BBB"]
    nothing = fragment("positions-table", positions_symbol="%\0")
    assert "No position" in text_of(nothing)
    assert rows_of(nothing) == []


def test_book_without_positions_says_what_would_fill_it():
    make_portfolio("EMPTY")
    assert "Nothing is held. Book a trade" in text_of(fragment("positions-table", "EMPTY"))
    assert "Nothing has been traded. Book a trade" in text_of(fragment("trades-table", "EMPTY"))


def hold_many(portfolio: Portfolio, count: int, quantity: int = 1) -> None:
    Instrument.objects.bulk_create(Instrument(symbol=f"S{number:04}") for number in range(count))
    Position.objects.bulk_create(
        Position(portfolio=portfolio, instrument_id=f"S{number:04}", quantity=quantity, average_cost=1)
        for number in range(count)
    )


def test_positions_come_a_hundred_a_page_and_take_as_many_queries_as_two(desk, django_assert_max_num_queries):
    hold_many(desk, 250)
    asked = {"positions_sort": "symbol", "positions_symbol": "S", "positions_page": "3"}
    shown = fragment("positions-table", **asked)
    assert rows_of(shown) == [f"S{number:04}" for number in range(200, 250)]
    assert "Positions 201 to 250 of 250" in shown
    assert "positions_page=2#positions" in shown
    assert "positions-next" not in shown
    client, headers = signed_in(), {"HX-Request": "true", "HX-Target": "positions-table"}
    client.get("/portfolios/BOOK", headers=headers)
    with django_assert_max_num_queries(9):
        client.get("/portfolios/BOOK", headers=headers)


def test_page_that_is_not_there_is_the_nearest(desk):
    hold_many(desk, 150)
    assert "Page 2 of 2" in fragment("positions-table", positions_page="999")
    assert "Page 1 of 2" in fragment("positions-table", positions_page="x")


def test_position_without_a_price_has_dashes_with_the_reason(desk):
    hold_many(desk, 1)
    shown = fragment("positions-table")
    assert row_of(shown, "S0000") == "S0000 1 none none none none none"
    assert 'title="no price of S0000 has been imported"' in shown
    assert 'title="no price of S0000"' in shown  # why there is no weight, of any
    assert row_of(shown, "AAA") == "AAA 200 14.00 none 2,800 none +800.00"


def test_close_that_is_behind_the_others_says_its_day(desk):
    make_prices({"AAA": [15.0]}, start=trading_days(4)[3])
    shown = fragment("positions-table")
    assert "at the closes of 2022-01-06" in text_of(shown)
    assert row_of(shown, "BBB").startswith("BBB minus 20 60.00 2022-01-05")
    assert row_of(shown, "AAA").startswith("AAA 200 15.00 none")


def _now_us() -> int:
    return int(timezone.now().timestamp() * 1e6)


def test_live_price_stands_beside_the_close_with_its_age(desk):
    accept_quotes(["AAA"], [14.7], [_now_us()], "test")
    shown = fragment("positions-table")
    assert row_of(shown, "AAA") == "AAA 200 14.00 14.70 +5.00 % 2,800 26.42 % +800.00"
    assert 'data-live-age data-stale-seconds="5.0" datetime="20' in shown
    assert 'title="no quote has come yet"' in shown


def test_quotes_are_those_of_the_rows_that_are_named(desk):
    accept_quotes(["AAA", "CCC"], [14.7, 1.0], [_now_us()] * 2, "test")
    shown = fragment("quotes", quoted="AAA,BBB,<b>")
    assert re.findall(r'data-quote="(\w+)"', shown) == ["AAA"]
    assert 'value="14.7"' in shown


def test_positions_are_shown_without_live_prices_where_redis_is_away(desk, monkeypatch):
    def away(*_: Any) -> None:
        raise RedisConnectionError("away")

    monkeypatch.setattr(portfolio_positions, "latest_quotes", away)
    shown = fragment("positions-table")
    assert rows_of(shown) == ["AAA", "BBB"]
    assert "Redis cannot be reached, so no live price is known." in shown


def test_bar_of_a_weight_is_drawn_by_attributes():
    assert '<rect width="12.5%" height="100%">' in weight_bar(12.5, 1.0)
    assert 'class="weight short"' in weight_bar(12.5, -1.0)


def test_reason_that_names_every_symbol_keeps_its_beginning_and_its_end(desk):
    hold_many(desk, 120)
    shown = fragment("positions-table", positions_symbol="S0000")
    assert 'title="no price of S0000, S0001,' in shown
    assert "S0060" not in shown
    assert 'S0119">' in shown


# --- Trades ------------------------------------------------------------------------------------------------------


def test_trades_come_newest_first_with_what_they_cost_and_who_booked_them(desk):
    shown = fragment("trades-table")
    assert re.findall(r'<th scope="row" class="name">(\w+)<', shown) == ["BBB", "AAA"]
    assert "2022-01-04 21:00 BBB sell minus 20 50.00 1,000 trader-" in text_of(shown)
    assert "2022-01-03 21:00 AAA buy 200 10.00 2,000" in text_of(shown)
    assert "a &lt;b&gt;" in shown
    assert "Trades 1 to 2 of 2, newest first" in shown


def test_trades_are_filtered_and_paged(desk):
    for _ in range(51):
        make_trade(desk, "CCC", 1, 1)
    first = fragment("trades-table", trades_symbol="cc")
    assert "Trades 1 to 50 of 51, newest first" in first
    assert "trades_symbol=cc&amp;trades_page=2#trades" in first
    assert len(rows_of(fragment("trades-table", trades_symbol="cc", trades_page="2"), "trade")) == 1
    assert "No trade" in fragment("trades-table", trades_symbol="zz\0")


def test_trades_take_as_many_queries_as_one(desk, django_assert_max_num_queries):
    client, headers = signed_in(), {"HX-Request": "true", "HX-Target": "trades-table"}
    client.get("/portfolios/BOOK", headers=headers)
    with django_assert_max_num_queries(8):
        client.get("/portfolios/BOOK", headers=headers)


# --- The whole page, and who sees what ---------------------------------------------------------------------------


def test_trader_gets_the_what_if_form_and_a_viewer_does_not(desk):
    assert 'id="whatif-form"' in signed_in("trader").get("/portfolios/BOOK").content.decode()
    seen = signed_in("viewer").get("/portfolios/BOOK").content.decode()
    assert 'id="whatif-form"' not in seen
    assert all(f'id="{part}"' in seen for part in ("limits-shown", "positions-table", "trades-table", "book-data"))


def test_page_keeps_to_the_strict_policy(desk):
    make_limit(desk, "gross_exposure", 40_000)
    seen = signed_in("trader").get("/portfolios/BOOK").content.decode()
    assert not re.search(r"\sstyle=|\son[a-z]+=|hx-on", seen)


def test_hints_are_what_is_held_and_has_the_typed_text_in_it(desk):
    Instrument.objects.filter(pk="AAA").update(name="Alpha & Sons")
    assert re.findall(r'<option value="(\w+)">([^<]*)', fragment("whatif-symbols", role="trader")) == [
        ("AAA", "Alpha &amp; Sons, 200 held"),
        ("BBB", f"{MINUS}20 held"),
    ]
    assert re.findall(r'value="(\w+)"', fragment("whatif-symbols", role="trader", whatif_symbol="bb")) == ["BBB"]


def test_hidden_book_answers_as_one_that_is_not_there(desk):
    make_portfolio("THEIRS", groups=["others"])
    headers = {"HX-Request": "true", "HX-Target": "positions-table"}
    hidden = signed_in().get("/portfolios/THEIRS", headers=headers)
    missing = signed_in().get("/portfolios/NO_SUCH", headers=headers)
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.content.decode().replace("THEIRS", "NO_SUCH") == missing.content.decode()
