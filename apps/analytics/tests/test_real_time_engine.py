"""What an engine publishes: every figure by its definition, each change once, nothing that is older than it looks."""

import time
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from django.utils import timezone

from apps.analytics.real_time_engine import RealTimeAnalyticsEngine
from apps.analytics.streaming.leases import RESTARTS_KEY, SHARDS, shard_of
from apps.analytics.tests.streamed import (
    forget_streams,
    latest,
    now_us,
    quote,
    running_engine,
    updates,
    us_of,
)
from apps.portfolios.histories import refresh_histories
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.quotes import QUOTES_KEY
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.risk.figures import BookFigures
from apps.risk.kernels.historical import expected_shortfall, value_at_risk
from apps.risk.limit_kinds import LIMIT_KINDS, BookKind
from apps.risk.monitor.books import HeldBooks
from apps.risk.monitor.measures import measure_books
from apps.risk.monitor.moment import read_moment
from apps.risk.monitoring import monitor_row
from apps.risk.past import days_of, read_pasts
from apps.risk.tests.desks import DESK_SETTINGS, WINDOW_DAYS, closes, make_desk
from apps.risk.tests.monitored import DESK_DAYS, published, redis_away
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def desk_settings(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    forget_streams()
    yield
    forget_streams()


@pytest.fixture
def desk() -> Portfolio:
    return make_desk()


@pytest.fixture
def engine(desk) -> RealTimeAnalyticsEngine:
    return running_engine()


def live_pnl(aaa: float, bbb: float) -> np.ndarray:
    """1,000 AAA and 400 BBB at these prices through each of the last 20 days of closes."""
    paths = closes(1, last=10.0), closes(2, last=50.0)
    days = range(DESK_DAYS - WINDOW_DAYS, DESK_DAYS)
    moves = [[path[day] / path[day - 1] - 1 for day in days] for path in paths]
    return 1_000 * aaa * np.array(moves[0]) + 400 * bbb * np.array(moves[1])


# --- Figures ------------------------------------------------------------------------------------------
def test_values_and_exposures_are_quantity_times_quote(engine):
    quote(AAA=11.0, BBB=45.0)
    engine.step()
    update = latest("BOOK")
    # 970,000 cash and 1,000 x 11 + 400 x 45
    assert [update[name] for name in ("cash", "value", "gross_exposure", "net_exposure")] == [
        970_000, 999_000, 29_000, 29_000,
    ]  # fmt: skip
    assert (update["status"], update["reasons"], update["source"]) == ("live", {}, "test")


def test_short_positions_lower_the_net_and_raise_the_gross_exposure(desk):
    make_trade(desk, "CCC", -100, 20)
    engine = running_engine()
    quote(AAA=10.0, BBB=50.0, CCC=21.0)
    engine.step()
    assert (latest("BOOK")["gross_exposure"], latest("BOOK")["net_exposure"]) == (32_100, 27_900)


def test_var_and_shortfall_are_those_of_the_live_values(engine):
    quote(AAA=12.5, BBB=40.25)
    engine.step()
    pnl, update = live_pnl(12.5, 40.25), latest("BOOK")
    expected = [value_at_risk(pnl, 0.95), value_at_risk(pnl, 0.99), expected_shortfall(pnl, 0.975)]
    told = [update[name] for name in ("var_95", "var_99", "expected_shortfall_975")]
    assert told == pytest.approx(expected, rel=1e-9)
    assert update["var_99_pct"] == pytest.approx(expected[1] / update["value"], rel=1e-9)


def test_symbol_without_a_quote_counts_at_its_close(engine):
    quote(AAA=11.0)
    engine.step()
    assert latest("BOOK")["value"] == 970_000 + 11_000 + 20_000
    assert (latest("BOOK")["stale_symbols"], latest("BOOK")["stale_count"]) == (["BBB"], 1)


def test_pnl_of_the_day_is_since_the_last_close(engine):
    quote(AAA=11.0, BBB=50.0)
    engine.step()
    # Bought at the last closes long ago; the value at the last close is 1,000,000.
    assert latest("BOOK")["day_pnl"] == pytest.approx(1_000)
    assert latest("BOOK")["day_pnl_pct"] == pytest.approx(0.001)


def test_what_was_paid_in_since_the_close_is_no_gain(desk):
    book_cash_flow(desk.id, Decimal(5_000), timezone.now().date())
    refresh_histories()
    engine = running_engine()
    quote(AAA=10.0, BBB=50.0)
    engine.step()
    assert latest("BOOK")["value"] == 1_005_000
    assert latest("BOOK")["day_pnl"] == pytest.approx(0.0, abs=1e-6)


def test_without_quotes_the_figures_are_the_limit_monitors(desk):
    running_engine()
    monitor_row()
    update, moment = latest("BOOK"), read_moment()
    (measured,) = measure_books(moment, list(moment.heads.values()), HeldBooks())
    figures = measured.figures(lambda: past_of_monitor(measured, moment))
    assert measured.tail is not None
    assert (update["value"], update["var_99"], update["var_95"], update["expected_shortfall_975"]) == (
        figures.value, measured.tail.var_99, measured.tail.var_95, measured.tail.expected_shortfall_975,
    )  # fmt: skip
    assert max(0.0, -update["day_pnl"]) == pytest.approx(limit_value("daily_loss", figures))
    assert update["drawdown"] == pytest.approx(limit_value("drawdown", figures), abs=1e-12)
    assert (update["quoted_at"], update["status"]) == (None, "stale")
    assert update["as_of"] == str(measured.as_of)


def limit_value(kind: str, figures: BookFigures) -> float:
    found = LIMIT_KINDS[kind]
    assert isinstance(found, BookKind)
    return found.measure(figures, None)


def past_of_monitor(measured, moment):
    days = days_of(measured.symbols, None, measured.as_of, load_matrix(moment.price_version))
    return read_pasts({"BOOK": days})["BOOK"]


def test_drawdown_is_from_the_highest_point_of_the_index(engine):
    quote(AAA=11.0, BBB=50.0)
    engine.step()
    high = latest("BOOK")["drawdown"]
    quote(AAA=1.0, BBB=50.0)
    engine.step()
    # The index moves with the value, as nothing was paid: 991,000 against 1,001,000.
    assert 1 - latest("BOOK")["drawdown"] == pytest.approx((1 - high) * 991_000 / 1_001_000) or high == 0


# --- Which quotes count -------------------------------------------------------------------------------
def test_quote_of_the_day_of_the_close_is_older_than_the_close(desk, engine):
    day = us_of(f"{latest('BOOK')['as_of']}T23:59:00+00:00")
    before = len(updates("BOOK"))
    redis_client().hset(QUOTES_KEY, "AAA", f"{day}|99.0|{day}")
    redis_client().hincrby("market:quotes:state", "version", 1)
    engine.step()
    assert len(updates("BOOK")) == before


def test_quotes_that_come_out_of_order_never_take_a_figure_back(engine):
    newest = quote(AAA=12.0)
    engine.step()
    count = len(updates("BOOK"))
    quote(seconds_ago=2, AAA=5.0)
    engine.step()
    assert len(updates("BOOK")) == count
    assert (latest("BOOK")["value"], us_of(latest("BOOK")["quoted_at"])) == (970_000 + 12_000 + 20_000, newest)


def test_quotes_known_to_the_engine_stay_when_redis_brings_older_ones(engine):
    quote(AAA=12.0)
    engine.step()
    redis_client().delete(QUOTES_KEY)
    quote(seconds_ago=3, AAA=5.0)
    engine.step()
    assert latest("BOOK")["value"] == 1_002_000


def test_of_many_quotes_between_two_steps_the_last_one_is_published(engine):
    count = len(updates("BOOK"))
    for price in (11.0, 12.0, 13.0):
        quote(AAA=price)
    engine.step()
    assert len(updates("BOOK")) <= count + 1
    assert latest("BOOK")["value"] == 970_000 + 13_000 + 20_000


# --- What is touched ----------------------------------------------------------------------------------
def test_only_books_that_hold_what_changed_are_published(desk):
    other = make_portfolio("OTHER", initial_cash=10_000)
    make_trade(other, "CCC", 10, 20)
    refresh_histories()
    engine = running_engine()
    quote(AAA=10.5, CCC=20.5)
    engine.step()
    counts = {each: len(updates(each)) for each in ("BOOK", "OTHER")}
    quote(CCC=21.0)
    engine.step()
    assert (len(updates("BOOK")), len(updates("OTHER"))) == (counts["BOOK"], counts["OTHER"] + 1)


def test_nothing_new_publishes_nothing(engine):
    quote(AAA=10.5)
    engine.step()
    count = len(updates("BOOK"))
    engine.step()
    engine.reader.read()
    engine.step()
    assert len(updates("BOOK")) == count


def test_booked_trade_is_in_the_next_update_without_any_quote(desk, engine):
    quote(AAA=10.0, BBB=50.0)
    engine.step()
    make_trade(desk, "AAA", 500, 10)
    engine.reader.read()
    engine.step()
    assert (latest("BOOK")["gross_exposure"], latest("BOOK")["cash"]) == (35_000, 965_000)


def test_both_topics_of_a_portfolio_say_the_same_value(engine):
    quote(AAA=10.7)
    engine.step()
    valued = [one for one in published("portfolio:updates:BOOK") if one["event"] == "portfolio.valued"][-1]
    names = ("value", "cash", "gross_exposure", "net_exposure", "day_pnl", "quoted_at", "as_of", "status")
    assert [valued[name] for name in names] == [latest("BOOK")[name] for name in names]


# --- What has no figure -------------------------------------------------------------------------------
def test_book_of_cash_alone_is_worth_its_cash(desk):
    make_portfolio("CASH", initial_cash=500)
    running_engine()
    update = latest("CASH")
    assert (update["value"], update["gross_exposure"], update["var_99"]) == (500, 0, 0)


def test_book_of_cash_alone_risks_nothing_beside_one_without_a_window(desk):
    make_portfolio("CASH", initial_cash=500)
    make_prices({"YOUNG": [5.0, 5.0, 5.0]}, start=desk_day(DESK_DAYS - 2))
    make_trade(make_portfolio("SHORT"), "YOUNG", 10, 5, day=desk_day(DESK_DAYS - 1))
    running_engine()
    assert latest("SHORT")["var_99"] is None
    update = latest("CASH")
    assert (update["var_99"], update["var_99_pct"], update["reasons"].get("var_99")) == (0, 0, None)


def test_symbol_that_never_had_a_price_has_no_value_and_says_why(desk):
    Instrument.objects.create(symbol="NEW", name="New", currency="USD")
    make_trade(make_portfolio("NOPRICE"), "NEW", 1, 5)
    running_engine()
    update = latest("NOPRICE")
    assert (update["value"], update["reasons"]["value"]) == (None, "NEW has no price at all.")
    assert latest("BOOK")["value"] is not None


def test_foreign_currency_has_no_value_and_says_why(desk):
    make_trade(make_portfolio("FOREIGN"), "CCC", 1, 20)
    Instrument.objects.filter(pk="CCC").update(currency="EUR")
    running_engine()
    assert latest("FOREIGN")["reasons"]["var_99"] == "FOREIGN is kept in USD, but holds CCC (EUR)."


def test_short_history_has_a_value_but_no_var(desk):
    make_prices({"YOUNG": [5.0, 5.0, 5.0]}, start=desk_day(DESK_DAYS - 2))
    make_trade(make_portfolio("SHORT"), "YOUNG", 10, 5, day=desk_day(DESK_DAYS - 1))
    engine = running_engine()
    quote(YOUNG=6.0)
    engine.step()
    update = latest("SHORT")
    assert (update["value"], update["var_99"]) == (1_010, None)
    assert "YOUNG" in update["reasons"]["var_99"]


def desk_day(number: int) -> date:
    return trading_days(number)[-1]


def test_history_that_is_behind_has_no_pnl_of_the_day(desk):
    make_portfolio("LATE", initial_cash=1_000)
    make_trade(Portfolio.objects.get(pk="LATE"), "AAA", 10, 10)
    engine = running_engine()
    quote(AAA=10.5)
    engine.step()
    update = latest("LATE")
    assert (update["day_pnl"], update["drawdown"]) == (None, None)
    assert update["reasons"]["day_pnl"].startswith("its history is not stored yet")


def test_book_that_is_worth_nothing_has_no_part_of_it(desk):
    make_trade(make_portfolio("BROKE", initial_cash=0), "AAA", 10, 20)  # 200 owed for what is worth 100
    engine = running_engine()
    quote(AAA=10.0)
    engine.step()
    assert latest("BROKE")["var_99_pct"] is None
    assert latest("BROKE")["reasons"]["var_99_pct"] == "the portfolio is worth -100.00, not above zero"


def test_without_any_prices_each_book_says_so():
    make_portfolio("EARLY")
    running_engine()
    assert latest("EARLY")["reasons"]["value"] == "no prices have been imported yet"


def test_book_that_fails_takes_no_other_with_it(desk, monkeypatch):
    other = make_portfolio("ODD", initial_cash=10_000)
    make_trade(other, "AAA", 10, 10)
    engine = running_engine()
    assert engine.reader.desk
    (group,) = engine.reader.desk.groups
    group.quantities[group.ids.index("ODD")] = 1e300  # squares beyond a float: the kernel refuses
    quote(AAA=10.5)
    engine.step()
    assert latest("ODD")["reasons"]["value"] == "internal error"
    assert latest("BOOK")["value"] == 970_000 + 10_500 + 20_000


# --- Stale feeds and stores that are away -------------------------------------------------------------
def test_stale_feed_is_said_once_and_again_when_it_is_back(engine, settings):
    quote(AAA=10.5)
    engine.step()
    assert latest("BOOK")["status"] == "live"
    count = len(updates("BOOK"))
    settings.FEED_STALE_SECONDS = 0.0
    for _ in range(3):
        engine.step()
    stale = updates("BOOK")[count:]
    assert [one["status"] for one in stale] == ["stale"]
    assert "No quote has come" in stale[0]["reasons"]["status"]
    settings.FEED_STALE_SECONDS = 60.0
    engine.step()
    engine.step()
    assert [one["status"] for one in updates("BOOK")[count:]] == ["stale", "live"]


def test_books_that_cannot_be_read_are_said_to_be_old(engine, settings, monkeypatch):
    quote(AAA=10.5)
    engine.step()
    monkeypatch.setattr("apps.analytics.real_time_engine.BOOKS_STALE_SECONDS", -1.0)
    quote(AAA=10.6)
    engine.step()
    update = latest("BOOK")
    assert update["status"] == "stale"
    assert update["reasons"]["status"].startswith("The books are as of ")
    assert update["value"] == 970_000 + 10_600 + 20_000


def test_wall_clock_that_is_set_back_makes_no_books_fresh(engine, monkeypatch):
    monkeypatch.setattr("apps.analytics.real_time_engine.BOOKS_STALE_SECONDS", 0.0)
    quote(AAA=10.5)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now - 3_600)
    engine.step()
    assert latest("BOOK")["status"] == "stale"


def test_books_are_as_of_the_clock_that_all_engines_share(engine, monkeypatch):
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3_600)
    engine.reader.read()
    monkeypatch.undo()
    before = now_us()
    quote(AAA=10.5)
    engine.step()
    assert abs(us_of(latest("BOOK")["books_as_of"]) - before) < 60_000_000


def test_redis_that_is_away_is_survived_and_the_gap_is_said(engine):
    quote(AAA=10.5)
    engine.step()
    with redis_away():
        away = RealTimeAnalyticsEngine()
        engine._client, real = away._client, engine._client
        engine.tenure._client = away._client
        engine.step()
        engine._client = engine.tenure._client = real
    engine.step()
    gap = latest("BOOK")["gap"]
    assert gap["reason"] == "Redis did not answer"
    assert gap["seconds"] >= 0


def test_redis_that_was_wiped_is_survived_and_the_gap_is_said(engine):
    quote(AAA=10.5)
    engine.step()
    last = us_of(latest("BOOK")["quoted_at"])
    redis_client().flushdb()
    engine.tenure.kept = None  # as half a second later
    engine._renewed = 0.0
    engine.step()
    update = latest("BOOK")
    assert update["gap"]["reason"] == "Redis lost what it held"
    assert us_of(update["gap"]["from"]) >= last
    assert update["value"] == 970_000 + 10_500 + 20_000


def test_first_update_ever_knows_of_nothing_before(engine):
    assert updates("BOOK")[0]["gap"] == {
        "from": None,
        "to": updates("BOOK")[0]["gap"]["to"],
        "seconds": None,
        "reason": "nothing is known of any update before",
    }
    quote(AAA=10.5)
    engine.step()
    assert latest("BOOK")["gap"] is None


def test_book_that_was_opened_later_has_no_gap_behind_it(engine):
    make_portfolio("LATER", initial_cash=1_000)
    engine.reader.read()
    engine.step()
    assert [one["gap"] for one in updates("LATER")] == [None]


# --- Restart ------------------------------------------------------------------------------------------
def test_restart_reads_the_books_anew_and_takes_the_leases_anew(engine):
    quote(AAA=10.5)
    engine.step()
    before = engine.tenure.leases[shard_of("BOOK")]
    assert engine.restart()["status"] in ("streaming", "stalled")
    engine._renewed = 0.0
    engine.step()
    assert engine.tenure.leases[shard_of("BOOK")] != before
    assert len(engine.tenure.leases) == SHARDS
    assert latest("BOOK")["gap"]["reason"] == f"{engine.engine_id} was restarted"
    assert redis_client().get(RESTARTS_KEY) == "1"


def test_restart_in_the_middle_of_a_step_is_said_after_what_went_out_before_it(engine, monkeypatch):
    def renew() -> None:
        engine._publisher._sender.submit(int).result()  # the chunk before is out
        monkeypatch.undo()
        engine.restart()
        engine._renewed = 0.0
        engine._keep_leases()

    monkeypatch.setattr(engine._publisher, "_renew", renew)
    quote(AAA=10.5)
    engine.step()
    assert latest("BOOK")["gap"] is None
    engine.step()
    assert latest("BOOK")["gap"]["reason"] == f"{engine.engine_id} was restarted"
