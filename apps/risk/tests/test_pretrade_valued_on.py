"""A check on a recorded day: nothing of a later close is in it."""

from datetime import date
from decimal import Decimal

import pytest

from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.risk.pretrade.check import check_trades
from apps.risk.pretrade.orders import AskedTrade

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
