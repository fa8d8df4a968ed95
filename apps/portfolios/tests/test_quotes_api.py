"""`POST /api/v1/market-data/quotes` and `GET /api/v1/market-data/status`: contract section 4."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from rest_framework.test import APIClient

from apps.portfolios import feed as feed_module
from apps.portfolios.models import Instrument
from apps.portfolios.quotes import QUOTES_KEY, RING_KEY, STATE_KEY, accept_quotes, latest_quotes
from apps.portfolios.tests.factories import client_of, make_client, make_prices, make_user
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

QUOTES = "/api/v1/market-data/quotes"
STATUS = "/api/v1/market-data/status"


@pytest.fixture(autouse=True)
def _prices_and_no_quotes() -> Iterator[None]:
    make_prices()
    redis_client().delete(QUOTES_KEY, STATE_KEY, RING_KEY)
    yield
    redis_client().delete(QUOTES_KEY, STATE_KEY, RING_KEY)


def moment(seconds_from_now: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds_from_now)).isoformat()


def quote(symbol: Any = "AAA", price: Any = 14.5, timestamp: Any = None) -> dict[str, Any]:
    return {"symbol": symbol, "price": price, "timestamp": moment() if timestamp is None else timestamp}


def send(*quotes: Any, client: APIClient | None = None, **headers: str) -> Any:
    return (client or client_of("operator")).post(QUOTES, {"quotes": list(quotes)}, headers=headers)


def status() -> dict[str, Any]:
    return client_of("viewer").get(STATUS).json()


def kept() -> dict[str, float]:
    quotes = latest_quotes()
    return dict(zip(quotes.symbols, quotes.prices.tolist(), strict=True))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- Sending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["operator", "risk_manager", "admin"])
def test_who_may_import_prices_may_send_quotes(role: str) -> None:
    answer = send(quote("AAA", 14.5), quote("BBB", 51), client=client_of(role))
    assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "older": 0, "symbols": 2})
    assert kept() == {"AAA": 14.5, "BBB": 51.0}


@pytest.mark.parametrize(("role", "expected"), [("trader", 403), ("viewer", 403), ("strategist", 403)])
def test_others_may_not(role: str, expected: int) -> None:
    assert send(quote(), client=client_of(role)).status_code == expected
    assert send(quote(), client=APIClient()).status_code == 401
    assert kept() == {}


def test_of_several_quotes_of_a_symbol_the_newest_counts_wherever_it_stands() -> None:
    answer = send(quote("AAA", 2, moment(-1)), quote("AAA", 3, moment(0)), quote("AAA", 1, moment(-2)))
    assert answer.json() == {"accepted": 2, "older": 1, "symbols": 1}
    assert kept() == {"AAA": 3.0}


def test_timestamp_is_kept_to_the_microsecond_whatever_its_zone() -> None:
    send(quote("AAA", 14.5, "2022-12-28T16:00:00.123457-05:00"))
    assert latest_quotes().timestamps_us.tolist() == [1_672_261_200_123_457]


def test_inactive_instrument_takes_quotes_as_a_book_may_still_hold_it() -> None:
    Instrument.objects.filter(pk="AAA").update(active=False)
    assert send(quote("AAA")).status_code == 200


def test_call_without_quotes_changes_nothing() -> None:
    assert send().json() == {"accepted": 0, "older": 0, "symbols": 0}


@pytest.mark.parametrize(
    ("wrong", "attr", "code", "said"),
    [
        (quote("NONE"), "quotes.1.symbol", "unknown_symbol", "There is no instrument 'NONE'"),
        (quote("A\0A"), "quotes.1.symbol", "unknown_symbol", "There is no instrument"),
        (quote(7), "quotes.1.symbol", "unknown_symbol", "There is no instrument '7'"),
        (quote(["AAA"]), "quotes.1.symbol", "unknown_symbol", "There is no instrument"),
        (quote(price=0), "quotes.1.price", "not_positive", "0 is no price"),
        (quote(price=-3.5), "quotes.1.price", "not_positive", "-3.5 is no price"),
        (quote(price=1.5e15), "quotes.1.price", "too_large", "1500000000000000.0 is too large"),
        (quote(price=10**400), "quotes.1.price", "too_large", "is too large"),
        (quote(price="14.5"), "quotes.1.price", "not_a_number", "14.5 is not a number"),
        (quote(price=True), "quotes.1.price", "not_a_number", "True is not a number"),
        (quote(price=None), "quotes.1.price", "not_a_number", "None is not a number"),
        (quote(timestamp="now"), "quotes.1.timestamp", "not_a_time", "now is not a time"),
        (quote(timestamp=1_672_261_200), "quotes.1.timestamp", "not_a_time", "1672261200 is not a time"),
        (quote(timestamp="2022-12-28T21:00:00"), "quotes.1.timestamp", "no_time_zone", "has no time zone"),
        (quote(timestamp="2022-12-28"), "quotes.1.timestamp", "no_time_zone", "has no time zone"),
        (quote(timestamp="1969-12-31T23:00:00Z"), "quotes.1.timestamp", "not_a_time", "is before 1970"),
        (
            quote(timestamp="2990-01-01T00:00:00Z"),
            "quotes.1.timestamp",
            None,
            "in the future. Expected at most 60 s",
        ),
        ({**quote(), "prise": 1}, "quotes.1.prise", "unknown_field", "did you mean 'price'?"),
        ({"symbol": "AAA", "price": 1}, "quotes.1.timestamp", "required", "timestamp is missing"),
        ("AAA", "quotes.1", "not_a_quote", "AAA is not an object"),
    ],
)
def test_quote_with_a_fault_is_named_with_its_value_and_none_is_taken(
    wrong: Any, attr: str, code: str | None, said: str
) -> None:
    answer = send(quote("BBB", 50), wrong)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, answer.json()["type"], error["attr"]) == (400, "validation_error", attr)
    assert said in error["detail"]
    assert code in (None, error["code"])
    assert kept() == {}


def test_quote_with_several_faults_has_all_of_them_named() -> None:
    errors = send(quote("NONE", -1, "then")).json()["errors"]
    assert [error["attr"] for error in errors] == ["quotes.0.symbol", "quotes.0.price", "quotes.0.timestamp"]


def test_first_hundred_quotes_with_faults_are_told_and_the_rest_counted() -> None:
    errors = send(*[quote(price=0) for _ in range(250)]).json()["errors"]
    assert len(errors) == 101
    assert errors[99]["attr"] == "quotes.99.price"
    assert (errors[100]["code"], errors[100]["detail"]) == (
        "more_faults",
        "The first 100 of 250 quotes with faults are listed.",
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"quotes": {"AAA": 1}}, "is not a list"),
        ({"quotes": None}, "null"),
        ({"quote": []}, "did you mean 'quotes'?"),
        ({}, "required"),
        ([], "Expected a dictionary"),
    ],
)
def test_body_of_another_shape_is_refused(body: Any, said: str) -> None:
    answer = client_of("operator").post(QUOTES, body)
    assert answer.status_code == 400
    assert said.lower() in answer.json()["errors"][0]["detail"].lower()


def test_ten_thousand_quotes_are_taken_and_one_more_is_not() -> None:
    now = moment()
    many = [quote("AAA", 10 + number / 10_000, now) for number in range(10_000)]
    assert send(*many).json() == {"accepted": 1, "older": 9_999, "symbols": 1}
    (error,) = send(*many, quote()).json()["errors"]
    assert (error["attr"], error["code"]) == ("quotes", "too_many_quotes")
    assert "10,001 quotes are too many. Send at most 10,000 a call." in error["detail"]


def test_repeat_with_the_same_key_gives_the_first_answer() -> None:
    client = make_client(make_user("operator"))
    sent = quote("AAA", 14.5)
    first = send(sent, client=client, **{"Idempotency-Key": "k-1"})
    again = send(sent, client=client, **{"Idempotency-Key": "k-1"})
    other = send(quote("AAA", 15), client=client, **{"Idempotency-Key": "k-1"})
    assert first.json() == again.json() == {"accepted": 1, "older": 0, "symbols": 1}
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.status_code == 409
    assert kept() == {"AAA": 14.5}


def test_schema_describes_a_quote_and_the_answer() -> None:
    schema = APIClient().get("/api/schema?format=json").json()
    post = schema["paths"][QUOTES]["post"]
    named = schema["components"]["schemas"]
    body = post["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    row = named[body]["properties"]["quotes"]["items"]["$ref"].rsplit("/", 1)[-1]
    assert set(named[row]["properties"]) == {"symbol", "price", "timestamp"}
    assert set(named[answer]["properties"]) == {"accepted", "older", "symbols"}


# --- The feed's status --------------------------------------------------------------------------------


def test_without_quotes_the_feed_is_stopped_and_the_last_import_stands_in() -> None:
    said = status()
    assert (said["status"], said["reason"], said["source"]) == ("stopped", "No quote has come yet.", "test")
    assert (said["symbols"], said["stale_symbols"], said["updates_per_second"]) == (2, 0, 0.0)
    assert said["last_update"].endswith("Z")
    assert said["price_version"] > 0


def test_feed_is_live_once_a_quote_has_come() -> None:
    user = make_user("operator", username="ticker")
    send(quote("AAA"), client=make_client(user))
    said = status()
    assert (said["status"], said["reason"], said["source"]) == ("live", None, "API, ticker")
    assert (said["symbols"], said["stale_symbols"]) == (1, 0)
    assert 0 <= said["lag_seconds"] < 5
    assert said["updates_per_second"] > 0


def test_feed_that_falls_silent_is_stale_and_the_next_quote_makes_it_live(settings: Any) -> None:
    settings.FEED_STALE_SECONDS = 0.1
    send(quote("AAA"))
    wait_for(lambda: (status()["reason"] or "").startswith("No quote has come for 0."))
    said = status()
    assert said["status"] == "stale"
    assert said["lag_seconds"] > 0.1
    assert said["stale_symbols"] == 1
    settings.FEED_STALE_SECONDS = 5.0
    send(quote("AAA"))
    assert status()["status"] == "live"


def test_feed_that_repeats_itself_is_stale_and_the_reason_is_that_nothing_newer_comes(settings: Any) -> None:
    settings.FEED_STALE_SECONDS = 0.1
    sent = quote("AAA")
    send(sent)
    wait_for(lambda: status()["status"] == "stale")
    assert send(sent).json()["older"] == 1
    assert "that is newer than those known; more than 0.1 s are stale." in status()["reason"]


def test_symbol_that_stands_still_while_others_move_is_counted() -> None:
    send(quote("AAA", timestamp=moment(-60)), quote("BBB"))
    said = status()
    assert (said["status"], said["symbols"], said["stale_symbols"]) == ("live", 2, 1)


def test_quotes_that_come_late_do_not_look_fresh() -> None:
    send(quote("AAA", timestamp=moment(-900)))
    said = status()
    assert said["status"] == "stale"
    assert said["reason"].startswith("Quotes come in, but the newest of them is 90")
    assert 900 <= said["lag_seconds"] < 910


def test_without_redis_the_feed_is_stopped_and_says_why(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    send(quote("AAA"))
    nobody = Redis(port=1, decode_responses=True, socket_connect_timeout=1)
    monkeypatch.setattr("apps.portfolios.quotes.redis_client", lambda: nobody)
    said = status()
    assert (said["status"], said["reason"]) == ("stopped", "Redis cannot be reached, so no live price is known.")
    assert (said["symbols"], said["source"]) == (2, "test")
    client = client_of("operator")
    client.raise_request_exception = False
    assert send(quote("AAA"), client=client).status_code == 503


def test_status_needs_no_database_for_the_engine(django_assert_num_queries: Any) -> None:
    accept_quotes(["AAA"], [1.0], [time.time_ns() // 1000], "engine's test")
    quotes = latest_quotes()
    with django_assert_num_queries(0):
        assert feed_module.feed_status(quotes=quotes).status == "live"
        assert feed_module.feed_status().source == "engine's test"


def test_unknown_parameter_is_refused() -> None:
    assert client_of("viewer").get(f"{STATUS}?symbol=AAA").status_code == 400
