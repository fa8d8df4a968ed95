"""Brokers: what `paper` fills, what is said where there is none, and that another kind needs no other runner."""

from datetime import date
from decimal import Decimal
from typing import ClassVar

import pytest

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices, moment, trading_days
from apps.strategies.brokers import Fill, Market, OpenOrder, broker_for
from apps.strategies.brokers.paper import PaperBroker
from apps.strategies.errors import NoBrokerError
from apps.strategies.models import Deployment
from apps.strategies.running.due import submit_due_runs
from apps.strategies.running.orders import cancel_open_orders
from apps.strategies.tests.running_factories import RUNNING_SETTINGS, make_active, orders_of, run, trades_of

DAY = date(2022, 1, 4)
DAYS = trading_days(5)


@pytest.fixture(autouse=True)
def running_settings(settings):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)
    settings.MAX_PRICE_AGE_SECONDS = 0  # live orders are held against the newest closes, and these are of 2022


def _order(number: int, symbol: str, quantity: str) -> OpenOrder:
    return OpenOrder(number, f"D/{number}", symbol, Decimal(quantity))


def test_paper_fills_whole_orders_at_the_close_and_each_side_pays_the_costs():
    orders = [_order(1, "AAA", "10"), _order(2, "BBB", "-2.5")]
    fills = PaperBroker().fills("D", orders, Market(DAY, {"AAA": 12.0, "BBB": 8.0}, 0.001))
    assert fills == [Fill(1, Decimal(10), Decimal("12.012")), Fill(2, Decimal("-2.5"), Decimal("7.992"))]


def test_paper_leaves_open_what_has_no_close():
    fills = PaperBroker().fills("D", [_order(1, "AAA", "10"), _order(2, "BBB", "1")], Market(DAY, {"BBB": 8.0}, 0.0))
    assert [fill.order_id for fill in fills] == [2]


def test_paper_price_keeps_to_the_ledgers_places_and_above_zero():
    (third,) = PaperBroker().fills("D", [_order(1, "AAA", "1")], Market(DAY, {"AAA": 1 / 3}, 0.0))
    (tiny,) = PaperBroker().fills("D", [_order(1, "AAA", "1")], Market(DAY, {"AAA": 1e-12}, 0.0))
    assert (third.price, tiny.price) == (Decimal("0.33333333"), Decimal("0.00000001"))


def test_live_without_a_broker_says_what_to_set(settings):
    settings.LIVE_BROKER = ""
    with pytest.raises(NoBrokerError) as raised:
        broker_for("live")
    assert "NAUTILUS_LIVE_BROKER" in raised.value.detail
    assert (raised.value.code, raised.value.status) == ("no_broker", 409)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no.such.Broker", "ModuleNotFoundError: No module named 'no'"),
        ("apps.strategies.brokers.paper.Missing", "does not define a"),
        ("NoDots", "doesn't look like a module path"),
        ("decimal.Decimal", "it has no name, simulated, work, fills"),
    ],
)
def test_live_broker_that_cannot_be_used_is_named_with_why(settings, path, why):
    settings.LIVE_BROKER = path
    with pytest.raises(NoBrokerError) as raised:
        broker_for("live")
    assert f"'{path}'" in raised.value.detail
    assert why in raised.value.detail


# --- A broker of another kind: it is sent orders, and tells of fills, of parts of them, later and more than once -----


class SlowBroker:
    """Keeps what it was last told to work on; `told` has the fills that it answers with, for ever."""

    name = "slow"
    simulated = False
    working: ClassVar[dict[str, list[OpenOrder]]] = {}
    told: ClassVar[list[Fill]] = []

    def work(self, deployment_id: str, orders: list[OpenOrder]) -> None:
        self.working[deployment_id] = list(orders)

    def fills(self, deployment_id: str, orders: list[OpenOrder], market: Market) -> list[Fill]:
        return self.told


@pytest.fixture
def slow(settings) -> type[SlowBroker]:
    settings.LIVE_BROKER = f"{__name__}.SlowBroker"
    SlowBroker.working.clear()
    SlowBroker.told.clear()
    return SlowBroker


@pytest.fixture
def live(slow, django_capture_on_commit_callbacks) -> Deployment:
    """It has decided to buy 50 AAA, and its broker works on that."""
    make_prices({"AAA": [10.0, 11.0]})
    deployment = _make_live(make_portfolio())
    with django_capture_on_commit_callbacks(execute=True):
        run(deployment)
    return deployment


def _make_live(portfolio: Portfolio) -> Deployment:
    how = {"environment": "live", "start_date": DAYS[1], "schedule": "monthly"}
    return make_active(portfolio, parameters={"weights": {"AAA": 0.55}}, symbols=["AAA"], **how)


@pytest.mark.django_db
def test_broker_is_sent_what_is_open_by_the_name_of_the_order(live, slow):
    order = live.orders.get()
    assert slow.working == {live.pk: [OpenOrder(order.pk, f"{live.pk}/2022-01-04/AAA", "AAA", Decimal(50))]}


@pytest.mark.django_db
def test_next_run_tells_the_broker_again_what_it_may_have_missed(live, slow):
    before = dict(slow.working)
    slow.working.clear()
    run(live)
    assert slow.working == before


@pytest.mark.django_db
def test_order_is_filled_part_by_part_as_the_broker_tells_and_nothing_is_booked_twice(live, slow):
    order = live.orders.get()
    slow.told.append(Fill(order.pk, Decimal(20), Decimal("11.5"), Decimal(30), "E1", moment(DAYS[1], 15)))
    make_prices({"AAA": [10.0, 11.0, 12.0]})
    run(live)
    run(live)  # the broker tells of E1 as long as it is asked
    assert [trade[2:] for trade in trades_of(live.portfolio)] == [(Decimal(20), Decimal("11.5"))]
    assert orders_of(live)[0][3] == "open"
    slow.told.append(Fill(order.pk, Decimal(30), Decimal("11.6"), Decimal(0), "E2", moment(DAYS[2], 15)))
    run(live)
    assert [trade[2:] for trade in trades_of(live.portfolio)][1:] == [(Decimal(30), Decimal("11.6"))]
    order.refresh_from_db()
    assert (order.status, order.trade.external_id) == ("filled", f"{live.pk}/2022-01-04/AAA/E2")


@pytest.mark.django_db
def test_fill_of_an_order_that_was_cancelled_here_has_happened_and_is_booked(live, slow):
    order = live.orders.get()
    cancel_open_orders(live.pk, "for the test")
    _decide_anew(live)
    slow.told.append(Fill(order.pk, Decimal(50), Decimal("11.5"), Decimal(0), "E1", moment(DAYS[1], 15)))
    make_prices({"AAA": [10.0, 11.0, 12.0]})
    run(live)
    order.refresh_from_db()
    assert order.status == "cancelled"
    assert trades_of(live.portfolio)[0][2:] == (Decimal(50), Decimal("11.5"))


def _decide_anew(deployment: Deployment) -> None:
    """As if nothing had been decided: the next run decides, and there is an order to ask the broker about."""
    deployment.runs.update(share=0.5)


@pytest.mark.django_db
def test_broker_that_works_on_something_is_asked_at_each_call(live):
    assert submit_due_runs() == 1


@pytest.mark.django_db
def test_end_of_the_deployment_takes_its_orders_back_from_the_broker(live, slow, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert cancel_open_orders(live.pk, "it has ended") == 1
    assert slow.working == {live.pk: []}
