"""Which orders of a day are sent and filled: checked together, with few checks, and none that is too small."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.risk.models import PreTradeDecision
from apps.risk.pretrade.orders import AskedTrade
from apps.risk.tests.desks import make_limit
from apps.strategies.models import Deployment
from apps.strategies.running import filling
from apps.strategies.running.checking import most_checks, refusals
from apps.strategies.tests.running_factories import RUNNING_SETTINGS, make_active, orders_of, run, trades_of

pytestmark = pytest.mark.django_db

DAYS = trading_days(12)


@pytest.fixture(autouse=True)
def running_settings(settings: Any) -> None:
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)


# --- As one basket ----------------------------------------------------------------------------------------------------


def hedged(aaa: float, bbb: float, most_net: float, **fields: Any) -> Deployment:
    """Weights of opposite signs on a book of 1,000 that may be short, with a limit on its net exposure."""
    make_prices({"AAA": [10.0] * 3, "BBB": [50.0] * 3})
    portfolio = make_portfolio()
    Portfolio.objects.update(short_selling_allowed=True, leverage_allowed=True)
    make_limit(portfolio, "net_exposure", most_net)
    weights = {"AAA": aaa, "BBB": bbb}
    return make_active(portfolio, parameters={"weights": weights}, schedule="monthly", **fields)


def test_positions_that_hedge_each_other_are_filled_together():
    """Either alone is 450 or 500 net, above the limit of 100; both are 50."""
    deployment = hedged(-0.5, 0.45, most_net=100.0)
    run(deployment)
    assert orders_of(deployment) == [
        ("2022-01-03", "AAA", -50.0, "filled"),
        ("2022-01-03", "BBB", 9.0, "filled"),
    ]


def test_fills_leave_no_reservation_and_one_check_each_day():
    deployment = hedged(-0.5, 0.45, most_net=100.0)
    run(deployment)
    decisions = PreTradeDecision.objects.filter(portfolio=deployment.portfolio)
    assert [len(each.answer["trades"]) for each in decisions] == [2, 2]  # decided, and filled
    assert not deployment.portfolio.reservations.exists()


def test_portfolio_is_held_before_the_fills_are_checked(monkeypatch):
    """Else somebody could reserve the same room between the check and the booking."""
    deployment = hedged(-0.5, 0.45, most_net=100.0)
    called: list[str] = []
    for name in ("lock_portfolio", "refusals", "book_trade"):
        monkeypatch.setattr(filling, name, _noted(getattr(filling, name), called))
    run(deployment)
    assert called == ["lock_portfolio", "refusals", "book_trade", "book_trade"]


def _noted(function: Callable[..., Any], called: list[str]) -> Callable[..., Any]:
    def noting(*args: Any, **kwargs: Any) -> Any:
        called.append(function.__name__)
        return function(*args, **kwargs)

    return noting


def test_where_the_basket_is_refused_at_the_fill_what_can_be_filled_is():
    """At the next close the 9 BBB are 630 and AAA -500: 130 net. Neither is approved alone, and AAA is not on BBB."""
    deployment = hedged(-0.5, 0.45, most_net=100.0)
    make_prices({"AAA": [10.0] * 3, "BBB": [50.0, 70.0, 70.0]}, source="corrected")
    run(deployment)
    assert {status for *_, status in orders_of(deployment)} == {"refused"}
    assert trades_of(deployment.portfolio) == []


# --- Few checks -------------------------------------------------------------------------------------------------------


def bought(count: int) -> tuple[Portfolio, list[AskedTrade]]:
    """Orders to buy a unit of each of so many symbols, at 10."""
    names = [f"S{number:03d}" for number in range(count)]
    make_prices({name: [10.0] * 3 for name in names})
    return make_portfolio(initial_cash=1_000_000), [AskedTrade(name, Decimal(1)) for name in names]


def checks() -> int:
    return PreTradeDecision.objects.count()


def test_order_that_the_check_names_is_left_out_and_the_rest_is_asked_about_once_more():
    portfolio, asked = bought(40)
    make_limit(portfolio, "order_notional", 5.0, symbol="S007")
    Instrument.objects.filter(pk="S020").update(active=False)
    refused = refusals(portfolio.pk, asked, DAYS[2])
    assert refused == {
        7: ["order_notional of S007 would be 10.00, above its limit of 5.00"],
        20: ["S020 takes no trades: it is inactive"],
    }
    assert checks() == 2


@pytest.mark.parametrize("wrong", [0, 21, 39])
def test_order_that_the_check_does_not_name_is_found_by_halves(wrong):
    portfolio, asked = bought(40)
    make_limit(portfolio, "position_notional", 5.0, symbol=asked[wrong].symbol)
    assert list(refusals(portfolio.pk, asked, DAYS[2])) == [wrong]
    assert checks() <= most_checks(40)


def test_number_of_checks_is_bounded_and_what_is_left_is_refused_with_the_reasons():
    """Nothing of it can be bought: each alone would be refused, after 127 checks for 64 orders."""
    portfolio, asked = bought(64)
    make_limit(portfolio, "gross_exposure", 5.0)
    refused = refusals(portfolio.pk, asked, DAYS[2])
    assert sorted(refused) == list(range(64))
    assert all(reasons[0].startswith("gross_exposure would be") for reasons in refused.values())
    assert checks() == most_checks(64) == 18


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_few_orders_are_each_asked_about(count):
    """20 can be held: the first two, whatever number is asked for."""
    portfolio, asked = bought(count)
    make_limit(portfolio, "gross_exposure", 20.0)
    refused = refusals(portfolio.pk, asked, DAYS[2])
    assert sorted(refused) == list(range(2, count))


def test_no_orders_need_no_check():
    portfolio, _ = bought(1)
    assert (refusals(portfolio.pk, [], DAYS[2]), checks()) == ({}, 0)


# --- Sizes ------------------------------------------------------------------------------------------------------------


def test_orders_worth_less_than_the_setting_are_not_sent(settings):
    """The second day's orders are 4.5841 AAA for 50.4 and 0.0051 BBB for 0.26 (test_running_days.py has them)."""
    settings.STRATEGY_MIN_NOTIONAL = 1.0
    make_prices({"AAA": [10.0, 11.0], "BBB": [50.0, 50.0]})
    deployment = make_active(make_portfolio())
    run(deployment)
    assert [(day, symbol) for day, symbol, *_ in orders_of(deployment)] == [
        ("2022-01-03", "AAA"),
        ("2022-01-03", "BBB"),
        ("2022-01-04", "AAA"),
    ]


def test_orders_below_the_instruments_least_quantity_are_not_sent():
    make_prices({"AAA": [10.0, 11.0], "BBB": [50.0, 50.0]})
    Instrument.objects.filter(pk="AAA").update(min_quantity=Decimal(5))
    deployment = make_active(make_portfolio())
    run(deployment)
    second = [symbol for day, symbol, *_ in orders_of(deployment) if day == "2022-01-04"]
    assert second == ["BBB"]


def test_holding_between_two_steps_is_traded_in_whole_ones():
    """10.5 AAA are held when the step becomes 1: 50 are wanted, half of 895 + 105 at 10.

    Of the 39.5 between them, 39 are bought."""
    make_prices({"AAA": [10.0] * 3})
    portfolio = make_portfolio()
    make_trade(portfolio, "AAA", "10.5", 10)
    Instrument.objects.filter(pk="AAA").update(quantity_step=Decimal(1))
    deployment = make_active(portfolio, parameters={"weights": {"AAA": 0.5}}, symbols=["AAA"], cost_bps=0.0)
    run(deployment)
    assert orders_of(deployment) == [("2022-01-03", "AAA", 39.0, "filled")]
    assert portfolio.positions.get().quantity == Decimal("49.5")
