"""`/api/v1/portfolios/{id}/trades` and `/cash-flows`: contract section 4."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.portfolios.models import Portfolio, Trade
from apps.portfolios.tests.factories import book_state, client_of, make_portfolio, make_prices, make_trade, trading_days

pytestmark = pytest.mark.django_db

URL = "/api/v1/portfolios/MINE/trades"
FLOWS = "/api/v1/portfolios/MINE/cash-flows"
TRADE = {"symbol": "AAA", "quantity": 10, "price": 10.5, "traded_at": "2022-01-03T21:00:00Z"}
FILE = b"symbol,quantity,price,traded_at\nAAA,10,10.5,2022-01-03T21:00:00Z\n"


@pytest.fixture
def portfolio() -> Portfolio:
    make_prices()
    return make_portfolio("MINE")


def errors_of(response: Any) -> list[tuple[str, str | None]]:
    return [(error["code"], error["attr"]) for error in response.json()["errors"]]


def test_booked_trade_is_answered_as_it_stands_in_the_list(portfolio: Portfolio) -> None:
    client = client_of("trader")
    answer = client.post(URL, TRADE | {"external_id": "T1"})
    assert answer.status_code == 201
    body = answer.json()
    assert {**TRADE, "portfolio_id": "MINE", "external_id": "T1", "ledger_version": 1}.items() <= body.items()
    assert body["booked_by"].startswith("trader-")
    assert client.get(URL).json()["results"] == [body]


def test_repeat_by_external_id_answers_the_same(portfolio: Portfolio) -> None:
    client = client_of("trader")
    first, again = (client.post(URL, TRADE | {"external_id": "T1"}) for _ in range(2))
    assert (first.json(), again.status_code) == (again.json(), 201)
    other = client.post(URL, TRADE | {"external_id": "T1", "quantity": 11})
    assert (other.status_code, errors_of(other)[0][0]) == (409, "external_id_taken")


IN_FUTURE = "2199-01-01T21:00:00+00:00"  # the same in each process of pytest-xdist: it is part of the test's name


@pytest.mark.parametrize(
    ("change", "code", "attr"),
    [
        ({"symbol": "ZZZ"}, "unknown_symbol", "symbol"),
        ({"symbol": None}, "null", "symbol"),
        ({"quantity": 0}, "zero", "quantity"),
        ({"quantity": "10"}, "invalid", "quantity"),
        ({"quantity": True}, "invalid", "quantity"),
        ({"price": 0}, "positive", "price"),
        ({"price": -1}, "positive", "price"),
        ({"price": "ten"}, "invalid", "price"),
        ({"price": 1e16}, "too_large", "price"),
        ({"traded_at": "2021-12-31T21:00:00Z"}, "before_inception", "traded_at"),
        ({"traded_at": IN_FUTURE}, "future_date", "traded_at"),
        ({"traded_at": "2022-01-03T21:00:00"}, "no_time_zone", "traded_at"),
        ({"traded_at": "2022-01-03"}, "no_time_zone", "traded_at"),
        ({"traded_at": "soon"}, "invalid", "traded_at"),
        ({"external_id": ""}, "blank", "external_id"),
        ({"reservation_id": "R1"}, "invalid", "reservation_id"),
        ({"reservation": "R1"}, "unknown_field", "reservation"),
        ({"quantitty": 1}, "unknown_field", "quantitty"),
    ],
)
def test_bad_trade_is_refused_and_leaves_everything_as_it_was(
    portfolio: Portfolio, change: dict, code: str, attr: str
) -> None:
    before = book_state()
    answer = client_of("trader").post(URL, TRADE | change)
    assert (answer.status_code, errors_of(answer)) == (400, [(code, attr)])
    assert book_state() == before


def test_nan_in_json_is_refused(portfolio: Portfolio) -> None:
    body = '{"symbol": "AAA", "quantity": 1, "price": NaN, "traded_at": "2022-01-03T21:00:00Z"}'
    answer = client_of("trader").post(URL, body, content_type="application/json")
    assert answer.status_code == 400
    assert not Trade.objects.exists()


def test_viewer_may_read_and_not_book(portfolio: Portfolio) -> None:
    assert client_of("viewer").get(URL).status_code == 200
    assert client_of("viewer").post(URL, TRADE).status_code == 403


def test_trader_of_another_desk_finds_no_portfolio(portfolio: Portfolio) -> None:
    assert client_of("trader", ["other"]).post(URL, TRADE).status_code == 404
    assert client_of("trader", ["other"]).post(f"{URL}/import", FILE, content_type="text/csv").status_code == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [("", 3), ("?symbol=AAA", 2), ("?start=2022-01-04", 2), ("?end=2022-01-04", 2), ("?external_id=T1", 1)],
)
def test_trades_are_filtered_by_symbol_and_days(portfolio: Portfolio, query: str, count: int) -> None:
    first, second, third = trading_days(3)
    make_trade(portfolio, "AAA", day=first, external_id="T1")
    make_trade(portfolio, "BBB", day=second)
    make_trade(portfolio, "AAA", day=third)
    assert client_of("viewer").get(URL + query).json()["count"] == count


def test_newest_trade_comes_first_unless_another_order_is_asked(portfolio: Portfolio) -> None:
    for day in trading_days(2):
        make_trade(portfolio, day=day)
    client = client_of("viewer")
    newest, oldest = (row["traded_at"] for row in client.get(URL).json()["results"])
    assert newest > oldest
    assert client.get(f"{URL}?ordering=traded_at").json()["results"][0]["traded_at"] == oldest


@pytest.mark.parametrize("way", ["body", "multipart"])
def test_file_is_imported_from_the_body_or_a_form(portfolio: Portfolio, way: str) -> None:
    client = client_of("trader")
    if way == "body":
        answer = client.post(f"{URL}/import", FILE, content_type="text/csv")
    else:
        answer = client.post(f"{URL}/import", {"file": SimpleUploadedFile("trades.csv", FILE)}, format="multipart")
    assert (answer.status_code, answer.json()) == (201, {"booked": 1, "already_booked": 0, "ledger_version": 1})


def test_import_with_an_idempotency_key_books_once(portfolio: Portfolio) -> None:
    client, headers = client_of("trader"), {"Idempotency-Key": "k"}
    first, again = (client.post(f"{URL}/import", FILE, content_type="text/csv", headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert Trade.objects.count() == 1
    other = client.post(f"{URL}/import", FILE + b"\n", content_type="text/csv", headers=headers)
    assert other.status_code == 409


def test_faults_of_an_import_are_told_by_row(portfolio: Portfolio) -> None:
    before = book_state()
    content = FILE + b"AAA,ten,0,2022-01-03T21:00:00Z\nZZZ,1,1,2022-01-03T21:00:00Z\n"
    answer = client_of("trader").post(f"{URL}/import", content, content_type="text/csv")
    assert answer.status_code == 400
    assert errors_of(answer) == [("not_a_number", "rows.3.quantity")]
    assert book_state() == before


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "empty_file"),
        (b"\xef\xbb\xbf" + FILE, 400, "byte_order_mark"),
        (FILE.replace(b",", b";"), 400, "wrong_separator"),
    ],
)
def test_unreadable_file_is_refused(portfolio: Portfolio, content: bytes, status: int, code: str) -> None:
    answer = client_of("trader").post(f"{URL}/import", content, content_type="text/csv")
    assert (answer.status_code, errors_of(answer)[0][0]) == (status, code)


def test_file_of_200_mb_is_refused_before_it_is_read(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.portfolios.uploads._BodyParser.parse", lambda *_: pytest.fail("was read"))
    answer = client_of("trader").post(f"{URL}/import", FILE, content_type="text/csv", CONTENT_LENGTH=str(200 * 2**20))
    assert (answer.status_code, errors_of(answer)) == (413, [("file_too_large", None)])


def test_form_without_the_file_or_with_more_is_refused(portfolio: Portfolio) -> None:
    client, file = client_of("trader"), SimpleUploadedFile("trades.csv", FILE)
    assert errors_of(client.post(f"{URL}/import", {}, format="multipart")) == [("file_missing", "file")]
    assert client.post(f"{URL}/import", {"file": file, "mode": "fast"}, format="multipart").status_code == 400


def test_json_is_no_file(portfolio: Portfolio) -> None:
    assert client_of("trader").post(f"{URL}/import", {"file": "x"}).status_code == 415


def test_cash_flow_is_booked_and_listed(portfolio: Portfolio) -> None:
    client = client_of("trader")
    answer = client.post(FLOWS, {"amount": -250.5, "date": "2022-01-04"})
    assert (answer.status_code, answer.json()["amount"]) == (201, -250.5)
    assert client.get(f"{FLOWS}?start=2022-01-04").json()["results"] == [answer.json()]
    assert client.get(f"{FLOWS}?end=2022-01-03").json()["count"] == 0
    assert client.get("/api/v1/portfolios/MINE").json()["cash"] == 749.5


@pytest.mark.parametrize(
    ("change", "attr"), [({"amount": 0}, "amount"), ({"date": "2021-01-01"}, "date"), ({"day": "2022-01-04"}, "day")]
)
def test_bad_cash_flow_is_refused(portfolio: Portfolio, change: dict, attr: str) -> None:
    answer = client_of("trader").post(FLOWS, {"amount": 5, "date": "2022-01-04"} | change)
    assert (answer.status_code, errors_of(answer)[0][1]) == (400, attr)
