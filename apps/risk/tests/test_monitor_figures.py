"""What a run measures, stores and publishes; and what it leaves alone because nothing changed."""

import math
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from apps.portfolios.histories import refresh_histories
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.models import Instrument, Portfolio, Reservation, Snapshot
from apps.portfolios.replays import replay
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days
from apps.realtime.topics import OUTGOING
from apps.risk.kernels.historical import expected_shortfall, value_at_risk
from apps.risk.many_books import read_books
from apps.risk.models import RiskLimit, RiskMetric, RiskMonitor
from apps.risk.monitor import measures, run
from apps.risk.monitor.books import read_wide_books
from apps.risk.monitor.memory import Memory
from apps.risk.monitor.verdicts import Standing
from apps.risk.tests.desks import DESK_SETTINGS, WINDOW_DAYS, closes, make_desk, make_limit
from apps.risk.tests.monitored import DESK_DAYS, forget_flag, look, move_prices, published, redis_away, state_of, told
from tests.running import wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def desk_settings(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    forget_flag()


@pytest.fixture
def desk() -> Portfolio:
    return make_desk()


def value_of(limit: RiskLimit) -> float | None:
    return state_of(limit)[1]


def evaluated_at(limit: RiskLimit) -> datetime:
    limit.refresh_from_db()
    assert limit.evaluated_at is not None
    return limit.evaluated_at


def desk_pnl() -> list[float]:
    """Today's 10,000 in AAA and 20,000 in BBB through each of the last 20 days."""
    aaa, bbb = closes(1, last=10.0), closes(2, last=50.0)
    days = range(DESK_DAYS - WINDOW_DAYS, DESK_DAYS)
    return [10_000 * (aaa[t] / aaa[t - 1] - 1) + 20_000 * (bbb[t] / bbb[t - 1] - 1) for t in days]


def test_var_and_shortfall_are_those_of_the_definitions(desk):
    kinds = ("var_95", "var_99", "expected_shortfall_975")
    limits = [make_limit(desk, kind, 1e9) for kind in kinds]
    look()
    pnl = np.array(desk_pnl())
    expected = [value_at_risk(pnl, 0.95), value_at_risk(pnl, 0.99), expected_shortfall(pnl, 0.975)]
    assert [value_of(limit) for limit in limits] == pytest.approx(expected, rel=1e-10)


def test_exposures_are_those_of_the_closes(desk):
    make_trade(desk, "CCC", -100, 20)
    kinds = ("gross_exposure", "net_exposure", "leverage", "concentration", "position_notional")
    limits = [make_limit(desk, kind, 1e9) for kind in kinds]
    look()
    value = 1_000_000  # bought and sold at the last closes
    assert [value_of(limit) for limit in limits] == pytest.approx(
        [32_000, 28_000, 32_000 / value, 20_000 / value, 20_000]
    )


def test_book_of_cash_alone_has_no_risk():
    make_prices()
    book = make_portfolio("CASH")
    refresh_histories()
    limits = [make_limit(book, kind, 1) for kind in ("var_99", "gross_exposure", "leverage", "drawdown")]
    assert look() == "1 portfolios, 1 measured, 4 limits changed"
    assert [state_of(limit) for limit in limits] == [("ok", 0.0, "")] * 4
    assert not RiskMetric.objects.exists()


def test_figures_are_stored_once_a_snapshot_and_can_be_made_again(desk):
    look()
    look()  # another process, which remembers nothing
    stored = RiskMetric.objects.order_by("confidence")
    assert [(row.confidence, row.task_id, row.method) for row in stored] == [
        (confidence, None, "historical") for confidence in (0.95, 0.975, 0.99)
    ]
    snapshot = Snapshot.objects.get()
    assert {row.snapshot_id for row in stored} == {snapshot.pk}
    assert replay(snapshot)["reproduced"] is True


def test_new_prices_are_new_figures(desk):
    look()
    move_prices(1, AAA=11.0, BBB=50.0)
    look()
    assert RiskMetric.objects.count() == 6
    assert set(RiskMetric.objects.values_list("portfolio_value", flat=True)) == {1_000_000, 1_001_000}


def test_limit_that_did_not_change_is_not_written(desk):
    steady = make_limit(desk, "position_notional", 50_000, symbol="BBB")
    moving = make_limit(desk, "gross_exposure", 50_000)
    memory = Memory()
    look(memory)
    first = [evaluated_at(limit) for limit in (steady, moving)]
    assert look(memory) == "1 portfolios, 0 measured, 0 limits changed"
    move_prices(1, AAA=11.0, BBB=50.0)
    assert look(memory) == "1 portfolios, 1 measured, 1 limits changed"
    assert evaluated_at(steady) == first[0]
    assert evaluated_at(moving) > first[1]


def test_limit_whose_terms_were_changed_says_that_it_was_seen_since(desk):
    limit = make_limit(desk, "gross_exposure", 50_000)
    look()
    limit.refresh_from_db()
    limit.action = "warn"
    limit.save(update_fields=["action", "updated_at"])
    assert evaluated_at(limit) < limit.updated_at
    look()
    assert evaluated_at(limit) > limit.updated_at


def test_only_books_that_changed_are_measured_again(desk):
    other = make_portfolio("OTHER", initial_cash=10_000)
    make_trade(other, "AAA", 10, 10)
    memory = Memory()
    assert look(memory).startswith("2 portfolios, 2 measured")
    make_trade(other, "AAA", 10, 10)
    assert look(memory).startswith("2 portfolios, 1 measured")
    Portfolio.objects.filter(pk="BOOK").update(benchmark="CCC")  # its calendar is another one now
    assert look(memory).startswith("2 portfolios, 1 measured")


def test_run_says_in_its_row_what_it_did(desk):
    make_limit(desk, "gross_exposure", 50_000)
    make_limit(desk, "net_exposure", 50_000, active=False)
    look()
    monitor = RiskMonitor.objects.get()
    assert (monitor.portfolios_monitored, monitor.limits_monitored, monitor.lease_expires_at) == (1, 1, None)
    assert monitor.last_run_at is not None
    assert 0 < (monitor.last_run_seconds or 0) < 60


# --- Losses ------------------------------------------------------------------------------------------------------


def test_losses_are_those_of_a_hand_computed_book():
    """Cash 0, 100 AAA bought at 10: worth 1,000, 1,200 at the peak, 1,080 at the close before the last, 900 now.

    Since the close before 180 were lost. Of the peak, 900 / 1,200 are left: 0.25 below it.
    """
    make_prices({"AAA": [10.0, 12.0, 10.8, 9.0]})
    book = make_portfolio("BOOK", initial_cash=1_000)
    make_trade(book, "AAA", 100, 10)
    refresh_histories()
    loss, drawdown = make_limit(book, "daily_loss", 1_000), make_limit(book, "drawdown", 0.2)
    look()
    assert value_of(loss) == pytest.approx(180)
    assert state_of(drawdown) == ("breach", pytest.approx(0.25), "")


def test_money_paid_out_is_no_loss():
    make_prices({"AAA": [10.0, 12.0, 10.8, 9.0]})
    book = make_portfolio("BOOK", initial_cash=2_000)
    make_trade(book, "AAA", 100, 10)
    refresh_histories()
    loss = make_limit(book, "daily_loss", 1_000)
    memory = Memory()
    look(memory)
    book_cash_flow("BOOK", Decimal(-500), trading_days(4)[-1])
    look(memory)
    assert value_of(loss) == pytest.approx(180)


def test_loss_follows_the_stored_history_when_it_is_brought_up_to_date():
    make_prices({"AAA": [10.0, 12.0]})
    book = make_portfolio("BOOK", initial_cash=1_000)
    make_trade(book, "AAA", 100, 10)
    loss = make_limit(book, "daily_loss", 1_000)
    refresh_histories()
    memory = Memory()
    look(memory)
    make_prices({"AAA": [9.0]}, start=trading_days(3)[-1])
    look(memory)
    assert value_of(loss) == pytest.approx(300)
    make_prices({"AAA": [10.0]}, start=trading_days(2)[-1])  # the close before is corrected from 12 to 10
    refresh_histories()
    look(memory)
    assert value_of(loss) == pytest.approx(100)


# --- Orders ------------------------------------------------------------------------------------------------------


def reserve(portfolio: Portfolio, symbol: str, **fields: object) -> None:
    Reservation.objects.create(
        portfolio=portfolio,
        instrument_id=symbol,
        quantity=1,
        open_quantity=1,
        price=10,
        expires_at=timezone.now(),
        **fields,
    )


def test_order_rate_counts_the_reservations_of_the_last_minute(desk):
    of_all, of_aaa = make_limit(desk, "order_rate", 2), make_limit(desk, "order_rate", 10, symbol="AAA")
    for symbol in ("AAA", "AAA", "BBB"):
        reserve(desk, symbol)
    reserve(desk, "AAA", created_at=timezone.now() - timedelta(seconds=61))
    look()
    assert state_of(of_all) == ("breach", 3.0, "")
    assert state_of(of_aaa) == ("ok", 2.0, "")


@pytest.mark.parametrize("kind", ["order_notional", "order_quantity", "price_collar"])
def test_limit_on_one_order_is_checked_with_each_order(desk, kind):
    limit = make_limit(desk, kind, 1)
    look()
    assert state_of(limit) == ("ok", None, "checked with each order")
    assert told() == []


# --- What goes wrong with one portfolio --------------------------------------------------------------------------


def test_portfolio_that_cannot_be_measured_stops_no_other(desk, monkeypatch, caplog):
    """Nothing that is known makes the kernel fail, so the failure is made."""
    books = [make_portfolio(f"B{number}") for number in range(6)]
    for book in books:
        make_trade(book, "AAA", 1, 10)
    limits = [make_limit(book, "var_95", 1_000) for book in books]
    analyze = measures.analyze_books

    def fails_on_b3(some, *rest):
        if any(book.portfolio_id == "B3" for book in some):
            raise ZeroDivisionError("no such thing")
        return analyze(some, *rest)

    monkeypatch.setattr(measures, "analyze_books", fails_on_b3)
    memory = Memory()
    look(memory)
    assert [state_of(limit)[0] for limit in limits] == ["ok", "ok", "ok", "unknown", "ok", "ok"]
    assert state_of(limits[3])[2] == "internal error"
    assert "The VaR of B3 could not be computed" in caplog.text
    monkeypatch.undo()
    look(memory)
    assert state_of(limits[3])[0] == "ok"


def test_run_that_fails_says_why_and_the_next_one_works(desk, monkeypatch):
    limit = make_limit(desk, "gross_exposure", 1_000)
    with monkeypatch.context() as broken:
        broken.setattr(measures, "load_matrix", lambda _: 1 / 0)
        assert look() == "failed: division by zero"
    monitor = RiskMonitor.objects.get()
    assert (monitor.last_error, monitor.last_run_at) == ("ZeroDivisionError: division by zero", None)
    look()
    assert state_of(limit)[0] == "breach"


# --- What is published -------------------------------------------------------------------------------------------


def test_update_tells_the_measures_and_the_limits_by_status(desk):
    make_limit(desk, "gross_exposure", 29_000)
    make_limit(desk, "net_exposure", 50_000)
    make_limit(desk, "leverage", 50_000, active=False)
    earlier = len(published("portfolio:updates:BOOK"))
    look()
    (update,) = published("portfolio:updates:BOOK")[earlier:]
    figures = {row.confidence: row for row in RiskMetric.objects.all()}
    assert update == {
        "event": "risk.monitored",
        "portfolio_id": "BOOK",
        "as_of": "2022-02-11",
        "value": 1_000_000.0,
        "gross_exposure": 30_000.0,
        "net_exposure": 30_000.0,
        "var_95": figures[0.95].var,
        "var_99": figures[0.99].var,
        "expected_shortfall_975": figures[0.975].expected_shortfall,
        "limits": {"ok": 1, "warning": 0, "breach": 1, "unknown": 0},
    }


def test_portfolio_of_which_nothing_changed_is_not_published(desk):
    make_limit(desk, "gross_exposure", 50_000)
    look()
    earlier = len(published("portfolio:updates:BOOK"))
    look()
    look()
    assert len(published("portfolio:updates:BOOK")) == earlier


def test_limit_that_moves_without_new_figures_is_published(desk):
    limit = make_limit(desk, "gross_exposure", 50_000)
    look()
    earlier = len(published("portfolio:updates:BOOK"))
    RiskLimit.objects.filter(pk=limit.pk).update(threshold_value=29_000, warning_threshold=20_000)
    look()
    (update,) = published("portfolio:updates:BOOK")[earlier:]
    assert update["limits"]["breach"] == 1


def test_book_without_a_window_is_published_without_var(desk, settings):
    settings.LIMIT_WINDOW_DAYS = 500
    earlier = len(published("portfolio:updates:BOOK"))
    look()
    (update,) = published("portfolio:updates:BOOK")[earlier:]
    assert (update["var_99"], update["gross_exposure"]) == (None, 30_000.0)


def test_update_that_found_redis_away_goes_out_when_it_is_back(desk):
    earlier = len(published("portfolio:updates:BOOK"))
    with redis_away(keep=True):
        look()
    wait_until(lambda: not OUTGOING.waiting, 20, "the outbox to be empty")
    (update,) = published("portfolio:updates:BOOK")[earlier:]
    assert update["gross_exposure"] == 30_000.0


def test_book_whose_figures_json_cannot_say_keeps_no_other_from_being_told(desk, monkeypatch, caplog):
    make_trade(make_portfolio("ANOTHER", initial_cash=1_000_000), "AAA", 1_000, 10)
    refresh_histories()
    figures = run._figures

    def of_a_broken_book(standing: Standing) -> dict[str, Any]:
        told = figures(standing)
        return {**told, "value": math.nan} if told["portfolio_id"] == "ANOTHER" else told

    monkeypatch.setattr(run, "_figures", of_a_broken_book)
    earlier = len(published("portfolio:updates:BOOK"))
    assert look().startswith("2 portfolios")
    assert len(published("portfolio:updates:BOOK")) == earlier + 1
    assert "Nobody is told of portfolio ANOTHER" in caplog.text


def test_inception_is_where_losses_begin():
    """No close before the first one: the initial cash stands for it."""
    make_prices({"AAA": [7.0, 8.0]})
    first = trading_days(2)[-1]
    book = make_portfolio("BOOK", initial_cash=1_000, inception_date=first)
    make_trade(book, "AAA", 100, 10, first)
    refresh_histories()
    loss = make_limit(book, "daily_loss", 1_000)
    look()
    assert value_of(loss) == pytest.approx(200)


def test_wide_books_are_read_as_single_ones_are(desk):
    make_portfolio("CASH", initial_cash=Decimal("1.00000001"))
    make_trade(make_portfolio("PARTS", benchmark="CCC"), "AAA", "-0.12345678", 10)
    Instrument.objects.filter(pk="BBB").update(currency="EUR")
    ids = ["BOOK", "CASH", "PARTS"]
    for wide, single in zip(read_wide_books(ids), read_books(ids), strict=True):
        assert {**asdict(wide), "quantities": wide.quantities.tolist()} == {
            **asdict(single),
            "quantities": single.quantities.tolist(),
        }
