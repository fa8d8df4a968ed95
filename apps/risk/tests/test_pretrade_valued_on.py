"""A check on a recorded day: nothing of a later close is in it."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection, transaction

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.risk.pretrade import positions
from apps.risk.pretrade.check import check_trades
from apps.risk.pretrade.orders import AskedTrade
from apps.risk.tests.desks import make_limit

pytestmark = pytest.mark.django_db

DAYS = trading_days(8)
CLOSES = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 40.0]


@pytest.fixture(autouse=True)
def book(settings) -> None:
    settings.LIMIT_WINDOW_DAYS = 3
    make_prices({"AAA": CLOSES, "LATE": [None] * 6 + [5.0, 6.0], "GAP": [1.0, 2.0, 3.0, 4.0, None, None, 7.0, 8.0]})
    make_trade(make_portfolio("BOOK"))


def check(symbol: str = "AAA", day: date | None = None, **fields: object):
    return check_trades("BOOK", [AskedTrade(symbol, Decimal(1))], reserve=False, valued_on=day, **fields)


def test_order_without_a_price_takes_that_days_close():
    assert check(day=DAYS[4]).trades[0]["price"] == 14.0
    assert check(day=DAYS[4]).as_of == DAYS[4]
    assert check().trades[0]["price"] == 40.0


def test_closes_that_come_later_change_no_decision():
    told = check(day=DAYS[4])
    make_prices({"AAA": [*CLOSES[:5], 1.0, 500.0, 0.5]}, source="corrected")
    again = check(day=DAYS[4])
    assert (again.trades, again.checks, again.approved) == (told.trades, told.checks, told.approved)


def test_symbol_that_had_no_price_yet_is_refused(settings):
    settings.MAX_PRICE_AGE_SECONDS = 0
    decision = check("LATE", DAYS[4])
    assert not decision.approved
    assert check("LATE").approved


def test_age_of_closes_is_asked_as_of_that_day(settings):
    settings.MAX_PRICE_AGE_SECONDS = 345_600  # the prices are years old by now
    assert check(day=DAYS[4]).approved
    assert [refusal.code for refusal in check().refusals] == ["price_stale"]
    settings.MAX_PRICE_AGE_SECONDS = 86_400
    stale = check("GAP", DAYS[5])
    assert "price_stale" in [refusal.code for refusal in stale.refusals]


def test_day_before_all_prices_is_refused():
    decision = check(day=date(2021, 12, 31))
    assert not decision.approved
    assert "no_prices" in [refusal.code for refusal in decision.refusals]


# --- What is held and has no close any more ---------------------------------------------------------------------------


@pytest.fixture
def holding(settings) -> None:
    """10 OLD at 2, whose last close is of the fourth day: too old on the sixth, with a weekend between them."""
    settings.MAX_PRICE_AGE_SECONDS = 172_800
    make_prices({"OLD": [1.0, 1.5, 1.8, 2.0, *[None] * 4]})
    make_trade(Portfolio.objects.get(), "OLD", 10, 1)


@pytest.mark.usefixtures("holding")
def test_holding_that_has_no_close_any_more_is_taken_at_its_last_one_with_a_warning():
    make_limit(Portfolio.objects.get(), "gross_exposure", 1_000.0)
    decision = check(day=DAYS[5])
    assert (decision.approved, decision.as_of) == (True, DAYS[5])
    assert decision.warnings == [f"OLD is taken at its close of {DAYS[3]}, its last one up to {DAYS[5]}"]
    # 10 AAA at 15 and 10 OLD at 2; then one more AAA.
    before, after = decision.checks[0]["current"], decision.checks[0]["projected"]
    assert (before, after) == (170.0, 185.0)


@pytest.mark.usefixtures("holding")
def test_symbol_that_is_traded_must_have_a_close_that_is_new_enough():
    refusals = check("OLD", DAYS[5]).refusals
    assert [(refusal.code, refusal.symbol) for refusal in refusals] == [("price_stale", "OLD")]
    assert f"the latest close of OLD is of {DAYS[3]}" in refusals[0].detail


@pytest.mark.usefixtures("holding")
def test_limit_on_the_tail_of_a_book_without_all_closes_is_unknown_and_refuses():
    make_limit(Portfolio.objects.get(), "var_95", 1_000.0)
    reasons = [refusal.detail for refusal in check(day=DAYS[5]).refusals]
    assert reasons == [f"var_95 cannot be computed: on {DAYS[5]} there is no close of OLD"]


@pytest.mark.usefixtures("holding")
def test_holding_that_shares_no_day_with_what_is_traded_does_not_refuse_it():
    """LATE begins after OLD has ended: there is no day on which both have a close."""
    decision = check("LATE", DAYS[7])
    assert (decision.approved, decision.trades[0]["price"]) == (True, 6.0)


@pytest.mark.usefixtures("holding")
def test_check_of_now_still_refuses_a_book_with_closes_too_old():
    assert "price_stale" in [refusal.code for refusal in check().refusals]


# --- What is of now, and not of the day ------------------------------------------------------------------------------


def test_orders_of_the_last_minute_do_not_count_on_a_recorded_day(settings):
    settings.MAX_PRICE_AGE_SECONDS = 0
    make_limit(Portfolio.objects.get(), "order_rate", 1.0)
    asked = [AskedTrade("AAA", Decimal(1)), AskedTrade("GAP", Decimal(1))]
    on_the_day = check_trades("BOOK", asked * 2, reserve=False, basket=True, valued_on=DAYS[7])
    assert on_the_day.approved
    expected = f"order_rate is not checked: it counts the orders of the last minute, not those of {DAYS[7]}"
    assert on_the_day.warnings == [expected]
    now = check_trades("BOOK", asked * 2, reserve=False, basket=True)
    assert {refusal.code for refusal in now.refusals} == {"limit_breach"}


def test_books_of_recorded_days_are_kept_for_the_last_few_alone(settings):
    settings.MAX_PRICE_AGE_SECONDS = 0
    positions._kept.clear()
    check()
    for day in DAYS:
        for symbol in ("AAA", "GAP"):
            check(symbol, day)
    kept = [state.valued_on for state, _ in positions._kept]
    assert kept.count(None) == 1
    assert [day for day in kept if day] == [day for day in DAYS[4:] for _ in range(2)]


def test_check_in_a_transaction_of_its_caller_does_not_let_it_be_lost(settings):
    """The decision alone may be lost to a crash, and says so to the database for its whole transaction."""
    settings.MAX_PRICE_AGE_SECONDS = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = on")
        check()
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)
