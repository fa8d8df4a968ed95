"""What a pre-trade check decides: every kind of limit and every rule, on the book as it would be."""

from datetime import timedelta

import numpy as np
import pytest
from django.db.models.functions import Now
from django.utils import timezone

from apps.portfolios.histories import refresh_histories
from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.ledger import change_portfolio, close_portfolio
from apps.portfolios.matrix import load_current_matrix
from apps.portfolios.models import Instrument, Portfolio, PortfolioReturn, Reservation
from apps.portfolios.prices import current_price_version
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, make_user, trading_days
from apps.risk.books import current_book, price_book
from apps.risk.kernels.historical import expected_shortfall, scenario_pnl, value_at_risk
from apps.risk.limit_kinds import LIMIT_KINDS
from apps.risk.models import PreTradeDecision, RiskLimit, TradingHalt
from apps.risk.tests.asking import ask, basket, codes, only_check
from apps.risk.tests.desks import DESK_SETTINGS, WINDOW_DAYS, closes, make_desk, make_limit

pytestmark = pytest.mark.django_db

DAYS = trading_days(32)


@pytest.fixture(autouse=True)
def desk_settings(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)


@pytest.fixture
def desk() -> Portfolio:
    return make_desk()


def test_trade_without_limits_is_approved_at_the_latest_close(desk):
    decision = ask(100)
    assert decision.approved
    assert decision.trades == [
        {"symbol": "AAA", "quantity": 100.0, "price": 10.0, "notional": 1_000.0, "order_id": None}
    ]


# What the positions were worth at the close before, more than today.
FELL = 1_000 * closes(1, last=10.0)[-2] + 400 * closes(2, last=50.0)[-2] - 30_000

# The book: 1,000 AAA at 10, 400 BBB at 50, 970,000 in cash; the trade: 500 AAA at 10, so 5,000 more of AAA.
BOOK_KINDS = {
    "gross_exposure": (30_000, 35_000),
    "net_exposure": (30_000, 35_000),
    "leverage": (0.03, 0.035),
    "position_notional": (20_000, 20_000),
    "concentration": (0.02, 0.02),
    "daily_loss": (FELL, FELL),
}


@pytest.mark.parametrize("kind", BOOK_KINDS)
def test_measure_of_the_book_before_and_after_the_trade(desk, kind):
    make_limit(desk, kind, 1e6)
    check = only_check(ask(500))
    assert (check["current"], check["projected"]) == pytest.approx(BOOK_KINDS[kind])
    assert check["status"] == "ok"


def test_tail_kinds_are_those_of_a_full_analysis_of_the_book_with_the_trade_booked(desk):
    kinds = ("var_95", "var_99", "expected_shortfall_975")
    for kind in kinds:
        make_limit(desk, kind, 1e6)
    found = {check["kind"]: check for check in ask(-350, "CCC").checks}

    def figures(book) -> list[float]:
        matrix = load_current_matrix()
        pnl = price_book(book, matrix.dates[-1].item(), WINDOW_DAYS, matrix).pnl
        return [value_at_risk(pnl, 0.95), value_at_risk(pnl, 0.99), expected_shortfall(pnl, 0.975)]

    assert [found[kind]["current"] for kind in kinds] == pytest.approx(figures(current_book("BOOK")), rel=1e-12)
    make_trade(desk, "CCC", -350, 20)
    assert [found[kind]["projected"] for kind in kinds] == pytest.approx(figures(current_book("BOOK")), rel=1e-9)


def test_every_kind_of_the_contract_is_registered():
    assert set(LIMIT_KINDS) == set(RiskLimit.Kind.values)


def test_trade_that_would_breach_is_refused_with_the_figure_and_the_limit(desk):
    limit = make_limit(desk, "gross_exposure", 34_999)
    decision = ask(500)
    assert not decision.approved
    (refusal,) = decision.refusals
    assert refusal.detail == "gross_exposure would be 35000.00, above its limit of 34999.00"
    assert (refusal.code, refusal.limit_id) == ("limit_breach", limit.pk)
    assert only_check(decision)["status"] == "breach"


def test_limit_that_is_just_reached_is_kept(desk):
    make_limit(desk, "gross_exposure", 35_000)
    assert ask(500).approved


def test_limit_that_warns_lets_the_trade_through_and_says_so(desk):
    make_limit(desk, "gross_exposure", 34_999, action="warn")
    decision = ask(500)
    assert decision.approved
    assert decision.warnings == ["gross_exposure would be 35000.00, above its limit of 34999.00"]


def test_projected_value_above_the_warning_threshold_is_a_warning(desk):
    make_limit(desk, "gross_exposure", 40_000, warning_threshold=34_000)
    assert only_check(ask(500))["status"] == "warning"


def test_limit_of_one_symbol_looks_at_that_symbol(desk):
    make_limit(desk, "position_notional", 14_000, symbol="AAA")
    make_limit(desk, "order_notional", 100, symbol="BBB")
    decision = ask(500)
    assert codes(decision) == ["limit_breach"]
    (check,) = decision.checks
    assert (check["symbol"], check["current"], check["projected"]) == ("AAA", 10_000, 15_000)


def test_inactive_and_not_yet_effective_limits_are_not_looked_at(desk):
    now = timezone.now()
    make_limit(desk, "gross_exposure", 1, active=False)
    make_limit(desk, "gross_exposure", 1, effective_from=now + timedelta(hours=1))
    make_limit(desk, "gross_exposure", 1, effective_to=now - timedelta(seconds=1))
    assert ask(500).checks == []


def test_order_kinds(desk):
    make_limit(desk, "order_notional", 4_999)
    make_limit(desk, "order_quantity", 499)
    make_limit(desk, "price_collar", 0.05)
    decision = ask(500, price=10.6)
    assert [refusal.detail for refusal in decision.refusals] == [
        "order_notional of AAA would be 5300.00, above its limit of 4999.00",
        "order_quantity of AAA would be 500, above its limit of 499",
        "price_collar of AAA would be 0.0600, above its limit of 0.0500",
    ]


def test_order_rate_counts_the_reservations_of_the_last_minute(desk):
    make_limit(desk, "order_rate", 2)
    assert ask(1, reserve=True).approved
    assert ask(2, reserve=True).approved
    third = ask(3, reserve=True)
    assert codes(third) == ["limit_breach"]
    assert (only_check(third)["current"], only_check(third)["projected"]) == (2, 3)
    Reservation.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    assert ask(3, reserve=True).approved


def test_loss_of_the_day_counts_from_the_close_before_and_stops_new_positions_only(desk):
    make_prices({"AAA": [8.0], "BBB": [50.0], "CCC": [20.0]}, start=DAYS[30])
    refresh_histories()
    make_limit(desk, "daily_loss", 1_500)
    make_limit(desk, "drawdown", 0.001)
    bought, sold = ask(10), ask(-10)
    index = np.cumprod([1.0, *(1 + np.array(PortfolioReturn.objects.order_by("date").values_list("value", flat=True)))])
    # 1,000 AAA fell from 10 to 8.
    assert [check["current"] for check in bought.checks] == pytest.approx([2_000, 1 - index[-1] / index.max()])
    assert codes(bought) == ["limit_breach", "limit_breach"]
    assert sold.approved


def test_limit_that_cannot_be_computed_refuses(desk):
    make_prices({"NEW": [5.0, 5.1]}, start=DAYS[28])
    make_limit(desk, "var_99", 1e9)
    decision = ask(1, "NEW")
    assert "limit_unknown" in codes(decision)
    assert only_check(decision)["status"] == "unknown"
    assert "NEW" in decision.refusals[-1].detail


def test_book_whose_prices_begin_today_has_exposures_and_no_var(desk):
    make_prices({"AAA": [10.0]}, start=DAYS[31])
    newborn = make_portfolio("NEWBORN", initial_cash=1_000)
    make_prices({"YOUNG": [4.0]}, start=DAYS[31])
    make_limit(newborn, "var_99", 1e9)
    make_limit(newborn, "gross_exposure", 1_000)
    decision = ask(10, "YOUNG", portfolio_id="NEWBORN")
    assert [check["status"] for check in decision.checks] == ["unknown", "ok"]
    assert "YOUNG has 0" in decision.refusals[0].detail


def test_limit_that_only_warns_and_cannot_be_computed_says_so(desk):
    make_prices({"NEW": [5.0, 5.1, 5.2]}, start=DAYS[27])
    make_limit(desk, "var_99", 1e9, action="warn")
    decision = ask(1, "NEW")
    assert decision.approved
    assert decision.warnings[0].startswith("var_99 cannot be computed")


def test_leverage_of_a_book_worth_nothing_is_unknown(desk):
    poor = make_portfolio("POOR", initial_cash=0)
    make_trade(poor, "AAA", -10, 10)
    make_limit(poor, "leverage", 2)
    assert "not above zero" in ask(-1, portfolio_id="POOR", price=9).refusals[0].detail


# --- In breach already ------------------------------------------------------------------------------------------


def test_book_in_breach_may_be_brought_down_step_by_step(desk):
    make_limit(desk, "gross_exposure", 20_000)
    assert ask(-100).approved
    assert not ask(100).approved


def test_trade_that_hedges_a_book_in_breach_of_its_var_is_approved(desk):
    make_limit(desk, "var_95", 1)
    assert ask(-500).approved
    assert not ask(500).approved


# --- Rules ------------------------------------------------------------------------------------------------------


def test_unknown_symbol_is_refused(desk):
    decision = ask(1, "NOPE")
    assert codes(decision) == ["unknown_symbol"]
    assert decision.trades[0]["notional"] is None


def test_symbol_without_a_price_is_refused(desk):
    Instrument.objects.create(symbol="BARE")
    assert codes(ask(1, "BARE")) == ["insufficient_history"]


def test_inactive_instrument_is_refused(desk):
    Instrument.objects.filter(pk="AAA").update(active=False)
    assert codes(ask(1)) == ["instrument_inactive"]


def test_instrument_of_another_currency_is_refused(desk):
    Instrument.objects.filter(pk="CCC").update(currency="EUR")
    assert codes(ask(1, "CCC")) == ["currency_mismatch"]


@pytest.mark.parametrize(
    ("rule", "quantity", "price", "code"),
    [
        ({"price_tick": "0.05"}, 10, 10.02, "price_tick"),
        ({"quantity_step": "5"}, 12, None, "quantity_step"),
        ({"min_quantity": "10"}, -9, None, "min_quantity"),
        ({"max_quantity": "10"}, 11, None, "max_quantity"),
    ],
)
def test_order_that_its_instrument_does_not_take_is_refused(desk, rule, quantity, price, code):
    Instrument.objects.filter(pk="AAA").update(**rule)
    assert codes(ask(quantity, price=price)) == [code]
    good = {"price_tick": 10.05, "quantity_step": None, "min_quantity": None, "max_quantity": None}[code]
    assert ask(10, price=good).approved


def test_old_prices_are_refused_unless_the_caller_names_their_day(desk, settings):
    settings.MAX_PRICE_AGE_SECONDS = 86_400
    assert codes(ask(1)) == ["price_stale"]
    day = ask(1).as_of
    assert ask(1, as_of=day).approved
    assert codes(ask(1, as_of=day - timedelta(days=1))) == ["as_of_mismatch"]


def test_closed_portfolio_is_refused(desk):
    close_portfolio("BOOK")
    assert codes(ask(1)) == ["portfolio_closed"]


def test_halted_portfolio_takes_nothing_and_is_open_again_at_once(desk):
    change_portfolio("BOOK", {"trading_state": "halted"})
    assert codes(ask(-1)) == ["trading_halted"]
    change_portfolio("BOOK", {"trading_state": "active"})
    assert ask(-1).approved


def test_halt_of_all_counts_beside_the_portfolio_s_own_state(desk):
    TradingHalt.objects.create(trading_state="halted")
    assert codes(ask(-1)) == ["trading_halted"]
    TradingHalt.objects.create(trading_state="reducing")
    assert codes(ask(1)) == ["trading_reducing"]
    assert ask(-1).approved
    TradingHalt.objects.create(trading_state="active")
    assert ask(1).approved


@pytest.mark.parametrize(
    ("quantity", "symbol", "approved"),
    [(-1_000, "AAA", True), (-1_001, "AAA", False), (1, "AAA", False), (-1, "CCC", False), (-400, "BBB", True)],
)
def test_reducing_approves_only_what_shrinks_a_position(desk, quantity, symbol, approved):
    change_portfolio("BOOK", {"trading_state": "reducing"})
    assert ask(quantity, symbol).approved is approved


def test_reducing_counts_what_other_orders_have_reserved(desk):
    change_portfolio("BOOK", {"trading_state": "reducing"})
    assert ask(-600, reserve=True).approved
    assert not ask(-600, reserve=True).approved
    assert ask(-400, reserve=True).approved


def test_short_sale_where_it_is_not_allowed(desk):
    Portfolio.objects.update(short_selling_allowed=False)
    assert ask(-1_000).approved
    assert codes(ask(-1_001)) == ["short_sale"]
    assert ask(-700, reserve=True).approved
    assert codes(ask(-700, reserve=True)) == ["short_sale"]


def test_purchase_beyond_the_cash_where_leverage_is_not_allowed(desk):
    Portfolio.objects.update(leverage_allowed=False)
    assert ask(97_000).approved
    assert codes(ask(97_001)) == ["cash"]
    assert ask(90_000, reserve=True).approved
    assert codes(ask(8_000, reserve=True)) == ["cash"]


def test_same_order_again_at_once_is_taken_for_a_mistake(desk, settings):
    settings.DUPLICATE_ORDER_SECONDS = 1.0
    user = make_user("trader")
    assert ask(10, reserve=True, user=user).approved
    assert codes(ask(10, reserve=True, user=user)) == ["duplicate_order"]
    assert ask(11, reserve=True, user=user).approved
    assert ask(10, reserve=True, user=make_user("trader")).approved
    Reservation.objects.update(created_at=timezone.now() - timedelta(seconds=1.1))
    assert ask(10, reserve=True, user=user).approved


def test_order_id_tells_orders_apart_and_doubles_from_them(desk, settings):
    settings.DUPLICATE_ORDER_SECONDS = 1.0
    assert ask(10, reserve=True, order_id="a").approved
    assert ask(10, reserve=True, order_id="b").approved
    assert codes(ask(12, reserve=True, order_id="a")) == ["duplicate_order"]


# --- Baskets ----------------------------------------------------------------------------------------------------


def test_basket_is_checked_as_a_whole(desk):
    make_limit(desk, "gross_exposure", 31_000)
    assert not ask(500).approved
    assert basket(("AAA", 500), ("BBB", -100)).approved
    assert not basket(("AAA", 500), ("BBB", -50)).approved


def test_basket_is_reserved_as_a_whole_or_not_at_all(desk):
    make_limit(desk, "order_notional", 5_000)
    assert not basket(("AAA", 100), ("BBB", 200), reserve=True).approved
    assert Reservation.objects.count() == 0
    decision = basket(("AAA", 100), ("BBB", 100), reserve=True)
    assert len(decision.reservation_ids) == 2
    assert {(r.instrument_id, r.quantity) for r in Reservation.objects.all()} == {("AAA", 100), ("BBB", 100)}


def test_trades_of_a_basket_count_one_after_the_other(desk):
    make_limit(desk, "order_rate", 2)
    assert codes(basket(("AAA", 1), ("BBB", 1), ("CCC", 1))) == ["limit_breach"]


# --- What is kept -----------------------------------------------------------------------------------------------


def test_every_decision_is_kept_with_what_it_was_decided_on(desk):
    limit = make_limit(desk, "gross_exposure", 34_999)
    user = make_user("trader")
    ask(1, user=user)
    ask(500, user=user, reserve=True)
    refused, approved = PreTradeDecision.objects.all()
    assert (approved.approved, refused.approved, refused.reserve, refused.user) == (True, False, True, user)
    assert refused.answer["reasons"] == ["gross_exposure would be 35000.00, above its limit of 34999.00"]
    assert refused.decided_on["limits"] == [limit.pk]
    assert (refused.decided_on["ledger_version"], refused.decided_on["price_version"]) == (
        desk.ledger_version,
        current_price_version(),
    )


def test_reserved_room_is_counted_until_it_expires(desk):
    make_limit(desk, "gross_exposure", 35_000)
    assert ask(500, reserve=True).approved
    assert not ask(1, reserve=True).approved
    Reservation.objects.update(expires_at=Now())
    assert ask(500, reserve=True).approved


def test_room_that_a_reserved_sale_would_free_is_not_given_away_before_it_is_booked(desk):
    make_limit(desk, "gross_exposure", 30_000)
    assert ask(-500, reserve=True).approved
    assert not ask(100, reserve=True).approved


def test_projected_var_is_the_worst_of_what_may_come_of_the_reservations(desk):
    make_limit(desk, "var_95", 1e9)
    for quantity in (100, 200, 300):
        ask(quantity, "CCC", reserve=True)
    decision = ask(-50, "AAA")
    prices = load_current_matrix().prices[-WINDOW_DAYS - 1 :]
    returns = simple_returns(prices)
    with_none, with_all = (
        value_at_risk(scenario_pnl(returns, prices[-1] * [950, 400, bought]), 0.95) for bought in (0, 600)
    )
    assert with_none != pytest.approx(with_all, rel=1e-3)
    assert only_check(decision)["projected"] == pytest.approx(max(with_none, with_all), rel=1e-9)
