"""The pre-trade check over HTTP: its shape, who may ask, reservations from holding to booking, and the halt of all."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.portfolios.models import Reservation, Trade
from apps.portfolios.tests.factories import book_state, client_of, make_portfolio
from apps.risk.models import PreTradeDecision
from apps.risk.tests.desks import DESK_SETTINGS, make_desk, make_limit

pytestmark = pytest.mark.django_db

RISK = "/api/v1/sprint3/risk"
CHECK = f"{RISK}/pre-trade-check"
TRADES = "/api/v1/portfolios/BOOK/trades"


@pytest.fixture(autouse=True)
def desk(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    return make_desk()


@pytest.fixture
def trader():
    return client_of("trader")


def check(client, quantity=10, symbol="AAA", status=200, **more):
    trade = {"symbol": symbol, "quantity": quantity, **more.pop("trade", {})}
    answer = client.post(CHECK, {"portfolio_id": "BOOK", "trade": trade, **more})
    assert answer.status_code == status, answer.content
    return answer.json()


def reserve(client, quantity=10, **more):
    answer = check(client, quantity, reserve=True, **more)
    assert answer["approved"], answer
    return answer["reservation_id"]


def book(client, quantity, reservation_id, symbol="AAA", **more):
    body = {"symbol": symbol, "quantity": quantity, "price": 10, "traded_at": "2022-02-01T12:00:00Z", **more}
    return client.post(TRADES, {**body, "reservation_id": reservation_id})


def test_answer_has_the_shape_of_the_contract(desk, trader):
    limit = make_limit(desk, "gross_exposure", 34_999)
    answer = check(trader, 500)
    assert answer["approved"] is False
    assert answer["trade"] == {"symbol": "AAA", "quantity": 500, "price": 10, "notional": 5_000, "order_id": None}
    assert answer["checks"] == [
        {
            "limit_id": limit.pk,
            "kind": "gross_exposure",
            "symbol": None,
            "action": "block",
            "current": 30_000,
            "projected": 35_000,
            "threshold": 34_999,
            "warning_threshold": 27_999.2,
            "status": "breach",
            "reason": None,
        }
    ]
    assert answer["reasons"] == ["gross_exposure would be 35000.00, above its limit of 34999.00"]
    assert (answer["reservation_id"], answer["expires_at"], answer["as_of"]) == (None, None, "2022-02-11")
    assert answer["evaluated_at"].endswith("Z")
    assert answer["elapsed_us"] > 0


@pytest.mark.parametrize(
    ("trade", "quantity"),
    [({"side": "sell"}, -10), ({"side": "buy"}, 10), ({"side": "sell", "quantity": -10}, -10), ({}, 10)],
)
def test_side_says_what_a_negative_quantity_says(trader, trade, quantity):
    assert check(trader, 10, trade=trade)["trade"]["quantity"] == quantity


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"trade": {"symbol": "AAA", "quantity": 1}}, "portfolio_id"),
        ({"portfolio_id": "BOOK"}, "trade"),
        ({"portfolio_id": "BOOK", "trade": {"symbol": "AAA", "quantity": 0}}, "trade.quantity"),
        ({"portfolio_id": "BOOK", "trade": {"symbol": "AAA", "quantity": "1"}}, "trade.quantity"),
        ({"portfolio_id": "BOOK", "trade": {"symbol": "AAA", "quantity": 1, "price": -1}}, "trade.price"),
        ({"portfolio_id": "BOOK", "trade": {"symbol": "AAA", "quantity": -1, "side": "buy"}}, "trade.side"),
        ({"portfolio_id": "BOOK", "trade": {"symbol": "AAA", "quantty": 1}}, "trade.quantty"),
        ({"portfolio_id": "BOOK", "trade": {"symbol": "AAA", "quantity": 1}, "reserved": True}, "reserved"),
        ({"portfolio_id": "BOOK", "trade": {"symbol": "AAA", "quantity": 1}, "as_of": "yesterday"}, "as_of"),
    ],
)
def test_malformed_question_is_refused_with_its_field(trader, body, attr):
    answer = trader.post(CHECK, body)
    assert answer.status_code == 400
    assert attr in {error["attr"] for error in answer.json()["errors"]}
    assert PreTradeDecision.objects.count() == 0


def test_portfolio_that_the_caller_may_not_see_is_not_there():
    make_portfolio("OTHER", groups=["another desk"])
    trader = client_of("trader")
    for portfolio_id in ("OTHER", "NOPE"):
        answer = trader.post(CHECK, {"portfolio_id": portfolio_id, "trade": {"symbol": "AAA", "quantity": 1}})
        assert answer.status_code == 404


def test_check_changes_nothing_but_the_record(trader):
    before = book_state()
    check(trader)
    assert book_state() == before
    assert PreTradeDecision.objects.count() == 1


def test_question_with_an_idempotency_key_is_reserved_once(trader):
    body = {"portfolio_id": "BOOK", "trade": {"symbol": "AAA", "quantity": 10}, "reserve": True}
    first, second = (trader.post(CHECK, body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == second.json()
    assert Reservation.objects.count() == 1


# --- Reservations -----------------------------------------------------------------------------------------------


def test_booking_settles_its_reservation(desk, trader):
    make_limit(desk, "gross_exposure", 35_000)
    reservation_id = reserve(trader, 500)
    answer = book(trader, 500, reservation_id)
    assert answer.status_code == 201, answer.content
    assert answer.json()["reservation_id"] == reservation_id
    shown = trader.get(f"{RISK}/reservations/{reservation_id}").json()
    assert (shown["status"], shown["open_quantity"]) == ("booked", 0)
    # The room is taken by the position now, once.
    assert check(trader, -1)["checks"][0]["current"] == 35_000


def test_part_of_a_reservation_is_booked_and_the_rest_stays_held(desk, trader):
    make_limit(desk, "gross_exposure", 35_000)
    reservation_id = reserve(trader, 500)
    assert book(trader, 200, reservation_id).status_code == 201
    assert check(trader, 1)["checks"][0]["current"] == 35_000
    assert book(trader, 300, reservation_id).status_code == 201
    assert Reservation.objects.get().status == "booked"


@pytest.mark.parametrize(("quantity", "symbol"), [(501, "AAA"), (-500, "AAA"), (500, "BBB")])
def test_another_trade_than_the_reserved_one_is_refused_and_nothing_is_booked(trader, quantity, symbol):
    reservation_id = reserve(trader, 500)
    answer = book(trader, quantity, reservation_id, symbol)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "reservation_mismatch")
    assert Trade.objects.count() == 2
    assert Reservation.objects.get().status == "held"


def test_booking_by_a_reservation_that_has_expired_is_refused_with_what_to_do(trader):
    reservation_id = reserve(trader, 500)
    Reservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = book(trader, 500, reservation_id)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "reservation_ended")
    assert "Book the trade without it" in answer.json()["errors"][0]["detail"]


def test_booking_by_a_reservation_of_another_portfolio_is_refused(trader):
    make_portfolio("OTHER")
    reservation_id = reserve(trader, 500)
    body = {"symbol": "AAA", "quantity": 500, "price": 10, "traded_at": "2022-02-01T12:00:00Z"}
    answer = trader.post("/api/v1/portfolios/OTHER/trades", {**body, "reservation_id": reservation_id})
    assert answer.json()["errors"][0]["code"] == "unknown_reservation"


def test_booking_twice_under_one_external_id_settles_once(trader):
    reservation_id = reserve(trader, 500)
    answers = [book(trader, 250, reservation_id, external_id="fill-1") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert Reservation.objects.get().open_quantity == 250


def test_released_room_is_free_at_once(desk, trader):
    make_limit(desk, "gross_exposure", 35_000)
    reservation_id = reserve(trader, 500)
    assert not check(trader, 500)["approved"]
    for _ in range(2):
        answer = trader.delete(f"{RISK}/reservations/{reservation_id}")
        assert (answer.status_code, answer.json()["status"]) == (200, "released")
    assert check(trader, 500)["approved"]


def test_booked_reservation_cannot_be_released(trader):
    reservation_id = reserve(trader, 500)
    book(trader, 500, reservation_id)
    answer = trader.delete(f"{RISK}/reservations/{reservation_id}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "reservation_ended")


def test_reservations_are_listed_for_who_sees_the_portfolio(trader):
    reserve(trader, 500)
    assert trader.get(f"{RISK}/reservations?portfolio_id=BOOK&status=held").json()["count"] == 1
    assert client_of("trader", groups=["another desk"]).get(f"{RISK}/reservations").json()["count"] == 0


def test_reservation_of_another_desk_is_not_there(trader):
    reservation_id = reserve(trader, 500)
    stranger = client_of("trader", groups=["another desk"])
    assert stranger.delete(f"{RISK}/reservations/{reservation_id}").status_code == 404
    assert Reservation.objects.get().status == "held"


# --- Baskets, decisions, the halt -------------------------------------------------------------------------------


def test_basket_answers_with_lists(trader):
    trades = [{"symbol": "AAA", "quantity": 10}, {"symbol": "BBB", "quantity": 5, "side": "sell"}]
    answer = trader.post(f"{CHECK}/batch", {"portfolio_id": "BOOK", "trades": trades, "reserve": True}).json()
    assert answer["approved"]
    assert [trade["quantity"] for trade in answer["trades"]] == [10, -5]
    assert len(answer["reservation_ids"]) == 2


def test_empty_basket_is_refused(trader):
    assert trader.post(f"{CHECK}/batch", {"portfolio_id": "BOOK", "trades": []}).status_code == 400


def test_decisions_are_listed_newest_first(trader):
    check(trader, 1)
    check(trader, 2)
    listed = trader.get(f"{RISK}/decisions/BOOK").json()
    assert [decision["answer"]["trade"]["quantity"] for decision in listed["results"]] == [2, 1]


def test_halt_of_all_is_set_and_lifted_by_a_risk_manager_alone(trader):
    manager = client_of("risk_manager")
    assert trader.post(f"{RISK}/halt", {}).status_code == 403
    answer = manager.post(f"{RISK}/halt", {"reason": "the feed is wrong"})
    assert (answer.status_code, answer.json()["trading_state"]) == (200, "halted")
    refused = check(trader)
    assert refused["reasons"] == ["trading of all portfolios is halted; a risk manager can lift it"]
    assert trader.post(f"{RISK}/halt", {"trading_state": "active"}).status_code == 403
    manager.post(f"{RISK}/halt", {"trading_state": "active"})
    assert check(trader)["approved"]
    assert manager.get(f"{RISK}/halt").json()["set_by"].startswith("risk_manager")
