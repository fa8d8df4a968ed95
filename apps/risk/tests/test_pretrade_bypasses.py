"""Ways round a limit that the pre-trade check closes."""

from decimal import Decimal

import pytest
from django.utils import timezone

from apps.portfolios.cash_flows import book_cash_flow
from apps.portfolios.errors import PortfolioNotFoundError
from apps.portfolios.histories import refresh_histories
from apps.portfolios.ledger import change_portfolio
from apps.portfolios.models import Portfolio, Reservation
from apps.portfolios.tests.factories import make_prices, make_user, trading_days
from apps.risk.models import RiskLimit
from apps.risk.tests.asking import ask, basket, codes, only_check
from apps.risk.tests.desks import DESK_SETTINGS, make_desk, make_limit

pytestmark = pytest.mark.django_db

DAYS = trading_days(32)


@pytest.fixture(autouse=True)
def desk_settings(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)


@pytest.fixture
def desk() -> Portfolio:
    return make_desk()


def test_legs_of_a_reserved_basket_do_not_count_on_each_other(desk):
    make_limit(desk, "position_notional", 25_000)
    trades = (("CCC", 5_000), ("CCC", -5_000))
    assert basket(*trades).approved
    refused = basket(*trades, reserve=True)
    assert codes(refused) == ["limit_breach"]
    assert Reservation.objects.count() == 0


def test_reserved_basket_cannot_pay_by_a_sale_nor_sell_what_it_buys(desk):
    Portfolio.objects.update(leverage_allowed=False, short_selling_allowed=False)
    assert codes(basket(("BBB", -400), ("AAA", 98_000), reserve=True)) == ["cash"]
    assert codes(basket(("CCC", 100), ("CCC", -100), reserve=True)) == ["short_sale"]


def test_reserved_sale_through_zero_counts_as_the_position_that_it_makes(desk):
    make_limit(desk, "gross_exposure", 37_000)
    # 400 BBB at 50 become 500 short: 25,000 for 20,000.
    assert ask(-900, "BBB", reserve=True).approved
    assert ask(-1_000, "AAA", reserve=True).approved
    # With the sale of AAA not done: 10,000 + 25,000 + 3,000.
    assert codes(ask(150, "CCC", reserve=True)) == ["limit_breach"]
    assert ask(100, "CCC", reserve=True).approved


def test_price_that_only_the_order_names_makes_no_money(desk, settings):
    settings.MAX_PRICE_DISTANCE = 0
    make_limit(desk, "leverage", 0.05)
    make_limit(desk, "order_notional", 4_000, symbol="AAA")
    assert codes(ask(2_500, price=0.01)) == ["limit_breach", "limit_breach"]
    Portfolio.objects.update(leverage_allowed=False)
    RiskLimit.objects.all().delete()
    assert codes(ask(98_000, price=0.01)) == ["cash"]


def test_price_far_from_the_latest_close_is_refused_as_a_mistake(desk):
    assert codes(ask(1, price=15.1)) == ["price_too_far"]
    assert ask(1, price=14.9).approved


def test_money_paid_in_today_hides_no_loss(desk):
    make_prices({"AAA": [8.0], "BBB": [50.0], "CCC": [20.0]}, start=DAYS[30])
    refresh_histories()
    make_limit(desk, "daily_loss", 1_500)
    book_cash_flow("BOOK", Decimal(100_000), timezone.now().date())
    assert only_check(ask(1))["current"] == pytest.approx(2_000)


def test_loss_is_unknown_where_the_history_is_behind(desk):
    make_limit(desk, "daily_loss", 1e9)
    make_limit(desk, "drawdown", 0.9)
    make_prices({"AAA": [9.0, 8.0], "BBB": [50.0, 50.0], "CCC": [20.0, 20.0]}, start=DAYS[30])
    decision = ask(1)
    assert codes(decision) == ["limit_unknown", "limit_unknown"]
    assert f"its history is stored up to {DAYS[29]}" in decision.refusals[0].detail
    refresh_histories()
    assert ask(1).approved


def test_another_position_may_not_rise_above_a_limit_while_the_largest_falls(desk):
    make_limit(desk, "position_notional", 15_000)
    assert not basket(("BBB", -20), ("AAA", 890)).approved
    assert basket(("BBB", -20), ("AAA", -10)).approved


def test_changed_benchmark_is_a_changed_book(desk):
    make_limit(desk, "var_95", 1e9)
    assert only_check(ask(1))["status"] == "ok"
    # Every second day: the book's calendar has too few days for its window now.
    make_prices({"IDX": [50.0 if number % 2 == 0 else None for number in range(30)]})
    change_portfolio("BOOK", {"benchmark": None})
    assert only_check(ask(1))["status"] == "ok"
    change_portfolio("BOOK", {"benchmark": "IDX"})
    assert only_check(ask(1))["status"] == "unknown"


def test_trader_who_may_not_see_a_portfolio_gets_no_answer_about_it(desk):
    with pytest.raises(PortfolioNotFoundError):
        ask(1, user=make_user("trader", groups=["another desk"]), reserve=True)
    assert ask(1, user=make_user("trader")).approved
    assert ask(1, user=make_user("risk_manager", groups=[])).approved
