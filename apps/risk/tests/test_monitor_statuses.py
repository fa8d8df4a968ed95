"""Limits under the monitor: when their status moves, and what is told of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.portfolios.ledger import close_portfolio
from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_trade
from apps.risk.models import RiskEvent, RiskLimit
from apps.risk.tests.desks import DESK_SETTINGS, make_desk, make_limit
from apps.risk.tests.monitored import forget_flag, look, move_prices, state_of, told

pytestmark = pytest.mark.django_db

ALL_AGES = 10**9  # seconds; the desk's prices are of 2022


@pytest.fixture(autouse=True)
def desk_settings(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    forget_flag()


@pytest.fixture
def desk() -> Portfolio:
    """10,000 in AAA and 20,000 in BBB."""
    return make_desk()


def gross_limit(desk: Portfolio, threshold: float, **fields: Any) -> RiskLimit:
    return make_limit(desk, "gross_exposure", threshold, **fields)


@pytest.mark.parametrize(("threshold", "status"), [(40_000, "ok"), (35_000, "warning"), (29_000, "breach")])
def test_new_limit_is_judged_by_its_thresholds(desk, threshold, status):
    limit = gross_limit(desk, threshold)
    look()
    assert state_of(limit) == (status, 30_000.0, "")
    assert limit.evaluated_at == limit.status_since


def test_new_limit_that_is_ok_is_nothing_to_tell(desk):
    gross_limit(desk, 40_000)
    look()
    assert told() == []


def test_breach_is_told_in_one_sentence_with_the_limits_severity(desk):
    limit = gross_limit(desk, 29_000, severity="info")
    look()
    event = RiskEvent.objects.get()
    assert (event.event_type, event.severity, event.limit_id, event.portfolio_id) == (
        "limit_breach",
        "info",
        limit.id,
        "BOOK",
    )
    assert (event.value, event.threshold, event.closed_at) == (30_000.0, 29_000.0, None)
    assert event.message == (
        "gross_exposure of BOOK is 30000.00, above its limit of 29000.00, at the closes of 2022-02-11"
    )


def test_warning_names_the_threshold_that_it_is_above(desk):
    gross_limit(desk, 35_000)
    look()
    event = RiskEvent.objects.get()
    assert (event.event_type, event.severity, event.threshold) == ("limit_warning", "warning", 28_000.0)
    assert "near its limit of 35000.00, warned of from 28000.00" in event.message


def test_breach_that_falls_into_the_band_stays_and_below_it_is_a_warning_then_ok(desk):
    limit = gross_limit(desk, 30_500, warning_threshold=29_000)
    walk = [(1, 11.0, "breach"), (2, 10.0, "breach"), (3, 9.8, "warning"), (4, 8.5, "warning"), (5, 8.4, "ok")]
    for day, price, status in walk:  # gross exposure is 20,000 + 1,000 x the price
        move_prices(day, AAA=price, BBB=50.0)
        look()
        assert state_of(limit) == (status, 20_000 + 1_000 * price, ""), price
    assert told() == ["limit_breach", "limit_warning", "limit_cleared"]
    assert not RiskEvent.objects.filter(closed_at=None).exists()


def test_measure_that_trembles_around_its_threshold_is_told_once(desk):
    limit = gross_limit(desk, 30_000, warning_threshold=25_000)
    for day in range(1, 9):
        move_prices(day, AAA=10.1 if day % 2 else 9.9, BBB=50.0)
        look()
        assert state_of(limit)[0] == "breach"
    assert told() == ["limit_breach"]


def test_each_transition_closes_what_was_told_before(desk):
    gross_limit(desk, 30_500)
    look()
    move_prices(1, AAA=20.0, BBB=50.0)
    look()
    warning, breach = RiskEvent.objects.order_by("id")
    assert (warning.event_type, warning.closed_at is None) == ("limit_warning", False)
    assert (breach.event_type, breach.closed_at is None) == ("limit_breach", True)


def test_var_without_enough_history_is_unknown_with_the_reason_and_alerts(desk, settings):
    settings.LIMIT_WINDOW_DAYS = 500
    var, gross = make_limit(desk, "var_99", 1_000), gross_limit(desk, 40_000)
    look()
    status, value, reason = state_of(var)
    assert (status, value) == ("unknown", None)
    assert reason.startswith("A window of 500 returns was asked for; AAA has 29")
    assert state_of(gross)[0] == "ok"
    event = RiskEvent.objects.get()
    assert (event.event_type, event.severity) == ("limit_unknown", "critical")
    assert event.message == f"var_99 of BOOK cannot be computed: {reason}"


def test_unknown_limit_that_only_warns_is_a_warning(desk, settings):
    settings.LIMIT_WINDOW_DAYS = 500
    make_limit(desk, "var_99", 1_000, action="warn")
    look()
    assert RiskEvent.objects.get().severity == "warning"


def test_unknown_limit_is_told_once_and_cleared_when_it_is_known_again(desk, settings):
    settings.LIMIT_WINDOW_DAYS = 500
    limit = make_limit(desk, "var_99", 10_000)
    look()
    look()
    settings.LIMIT_WINDOW_DAYS = 20
    look()
    assert state_of(limit)[0] == "ok"
    assert told() == ["limit_unknown", "limit_cleared"]


def test_leverage_of_a_book_worth_nothing_is_unknown():
    desk = make_desk(cash=0)
    limit = make_limit(desk, "leverage", 2)
    look()
    assert state_of(limit) == ("unknown", None, "the portfolio is worth 0.00, not above zero")


def test_every_limit_of_a_book_of_another_currency_is_unknown(desk):
    limit = gross_limit(desk, 40_000)
    Instrument.objects.filter(pk="BBB").update(currency="EUR")
    look()
    assert state_of(limit) == ("unknown", None, "BOOK is kept in USD, but holds BBB (EUR).")


def test_without_any_prices_every_limit_on_a_book_is_unknown():
    book = make_portfolio("NEW")
    gross, order = gross_limit(book, 100), make_limit(book, "order_notional", 100)
    look()
    assert state_of(gross) == ("unknown", None, "no prices have been imported yet")
    assert state_of(order) == ("ok", None, "checked with each order")


def test_limit_of_one_symbol_is_held_against_its_position(desk):
    limits = [make_limit(desk, "position_notional", 15_000, symbol=symbol) for symbol in ("AAA", "BBB", "CCC")]
    look()
    assert [state_of(limit)[:2] for limit in limits] == [("ok", 10_000.0), ("breach", 20_000.0), ("ok", 0.0)]
    assert RiskEvent.objects.get().message.startswith("position_notional of BBB in BOOK is 20000.00, above")


def test_inactive_limit_is_not_in_force_and_what_was_told_of_it_is_over(desk):
    limit = gross_limit(desk, 29_000)
    look()
    limit.active = False
    limit.save(update_fields=["active", "updated_at"])
    look()
    assert state_of(limit) == ("unknown", None, "not in force")
    assert told() == ["limit_breach"]
    assert RiskEvent.objects.get().closed_at is not None


def test_limit_is_in_force_within_its_dates_only(desk):
    now, day = timezone.now(), timedelta(days=1)
    spans = [(now - day, now + day), (None, now - day), (now + day, None), (now - day, None)]
    limits = [gross_limit(desk, 29_000, effective_from=begin, effective_to=end) for begin, end in spans]
    look()
    assert [state_of(limit)[0] for limit in limits] == ["breach", "unknown", "unknown", "breach"]


def test_limit_that_comes_into_force_again_is_judged_anew(desk):
    limit = gross_limit(desk, 29_000, active=False)
    look()
    limit.active = True
    limit.save(update_fields=["active", "updated_at"])
    look()
    assert state_of(limit)[0] == "breach"
    assert told() == ["limit_breach"]


def test_limits_of_a_closed_portfolio_are_not_in_force(desk):
    limit = gross_limit(desk, 29_000)
    look()
    close_portfolio("BOOK")
    look()
    assert state_of(limit)[2] == "not in force"
    assert not RiskEvent.objects.filter(closed_at=None).exists()


# --- Prices that are too old -----------------------------------------------------------------------------------


def test_stale_prices_make_calm_limits_unknown_and_leave_breaches(desk, settings):
    calm, near, broken = gross_limit(desk, 40_000), gross_limit(desk, 35_000), gross_limit(desk, 29_000)
    look()
    settings.MAX_PRICE_AGE_SECONDS = 3_600
    look()
    reason = "the closes are of 2022-02-11, older than 3600 s"
    assert state_of(calm) == ("unknown", 30_000.0, reason)
    assert state_of(near) == ("unknown", 30_000.0, reason)
    assert state_of(broken) == ("breach", 30_000.0, "")


def test_stale_prices_are_told_once_a_portfolio_and_again_when_they_are_over(desk, settings):
    for threshold in (40_000, 50_000, 60_000):
        gross_limit(desk, threshold)
    settings.MAX_PRICE_AGE_SECONDS = 3_600
    look()
    look()
    stale = RiskEvent.objects.get()
    assert (stale.event_type, stale.severity, stale.portfolio_id) == ("prices_stale", "critical", "BOOK")
    assert stale.message == "BOOK has stale prices: the closes are of 2022-02-11, older than 3600 s"
    settings.MAX_PRICE_AGE_SECONDS = ALL_AGES
    look()
    look()
    assert told() == ["prices_stale", "prices_fresh"]
    assert not RiskEvent.objects.filter(closed_at=None).exists()


def test_limit_on_orders_does_not_mind_stale_prices(desk, settings):
    settings.MAX_PRICE_AGE_SECONDS = 3_600
    limit = make_limit(desk, "order_rate", 10)
    look()
    assert state_of(limit) == ("ok", 0.0, "")


def test_book_of_cash_alone_has_no_stale_prices(settings):
    make_desk()
    settings.MAX_PRICE_AGE_SECONDS = 3_600
    limit = gross_limit(make_portfolio("CASH"), 100)
    look()
    assert state_of(limit) == ("ok", 0.0, "")
    assert told(portfolio="CASH") == []


def test_limit_that_cannot_be_computed_once_prices_are_fresh_again_is_told(desk, settings):
    limit = make_limit(desk, "var_95", 10_000)
    settings.MAX_PRICE_AGE_SECONDS = 3_600
    look()
    settings.MAX_PRICE_AGE_SECONDS, settings.LIMIT_WINDOW_DAYS = ALL_AGES, 500
    look()
    assert state_of(limit)[0] == "unknown"
    assert told(limit=limit) == ["limit_unknown"]


def test_stale_prices_of_a_portfolio_that_is_closed_are_over(desk, settings):
    settings.MAX_PRICE_AGE_SECONDS = 3_600
    look()
    close_portfolio("BOOK")
    look()
    assert told() == ["prices_stale"]
    assert RiskEvent.objects.get().closed_at is not None


def test_trade_that_ends_a_breach_clears_it(desk):
    limit = gross_limit(desk, 29_000, warning_threshold=29_000)
    look()
    make_trade(desk, "BBB", -100, 50)
    look()
    assert state_of(limit)[:2] == ("ok", 25_000.0)
    assert told() == ["limit_breach", "limit_cleared"]


def test_limit_on_another_symbol_is_judged_and_told_anew(desk):
    limit = make_limit(desk, "position_notional", 15_000, symbol="BBB", action="warn")
    look()
    RiskLimit.objects.filter(pk=limit.pk).update(
        instrument="AAA", threshold_value=9_000, warning_threshold=9_000, updated_at=timezone.now()
    )
    look()
    assert told() == ["limit_breach", "limit_breach"]
    assert RiskEvent.objects.get(closed_at=None).symbol == "AAA"
    # 10,000 is not above 10,100; that it was above 9,000 is nothing to the new threshold.
    RiskLimit.objects.filter(pk=limit.pk).update(
        threshold_value=10_100, warning_threshold=10_100, updated_at=timezone.now()
    )
    look()
    assert state_of(limit)[0] == "ok"
