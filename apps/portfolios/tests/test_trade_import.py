"""A file of trades is booked whole or not at all, and once."""

import gzip
import io
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from apps.portfolios import trade_import
from apps.portfolios.errors import FileError, PortfolioClosedError
from apps.portfolios.ledger import Booking, close_portfolio
from apps.portfolios.models import Portfolio, Trade
from apps.portfolios.tests.factories import book_state, make_portfolio, make_prices, make_trade, make_user
from apps.portfolios.trade_import import import_trades
from nautilus.api.errors import DomainErrors

pytestmark = pytest.mark.django_db

HEADER = "symbol,quantity,price,traded_at,external_id"
FIRST = "AAA,10,10.5,2022-01-03T21:00:00Z,T1"
SECOND = "BBB,-2,50,2022-01-04T21:00:00+00:00,T2"


def csv(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows]).encode() + b"\n"


@pytest.fixture
def portfolio() -> Portfolio:
    make_prices()
    return make_portfolio("BOOK", initial_cash=1_000)


def test_import_books_all_rows_as_one_step_of_the_ledger(portfolio: Portfolio) -> None:
    user = make_user()
    assert import_trades(portfolio.id, csv(FIRST, SECOND), user) == Booking(2, 0, 1)
    portfolio.refresh_from_db()
    assert (portfolio.cash, portfolio.ledger_version) == (Decimal(995), 1)
    assert dict(portfolio.positions.values_list("instrument", "quantity")) == {"AAA": 10, "BBB": -2}
    assert set(Trade.objects.values_list("booked_by", "ledger_version")) == {(user.pk, 1)}


def test_repeat_of_an_import_books_nothing(portfolio: Portfolio) -> None:
    import_trades(portfolio.id, csv(FIRST, SECOND))
    before = book_state()
    assert import_trades(portfolio.id, csv(FIRST, SECOND)) == Booking(0, 2, 1)
    assert book_state() == before


def test_import_that_overlaps_books_what_is_new(portfolio: Portfolio) -> None:
    import_trades(portfolio.id, csv(FIRST))
    assert import_trades(portfolio.id, csv(FIRST, SECOND)) == Booking(1, 1, 2)


def test_average_cost_follows_the_times_of_the_trades_not_their_rows(portfolio: Portfolio) -> None:
    rows = ["AAA,-5,20,2022-01-05T21:00:00Z,T2", "AAA,10,10,2022-01-03T21:00:00Z,T1"]
    import_trades(portfolio.id, csv(*rows))
    assert portfolio.positions.get().average_cost == 10


@pytest.mark.parametrize("times", ["utc", "text"])
def test_parquet_is_booked_as_csv_is(portfolio: Portfolio, times: str) -> None:
    traded_at: Any = ["2022-01-03T21:00:00Z", "2022-01-04T21:00:00Z"]
    frame = pd.DataFrame({"symbol": ["AAA", "BBB"], "quantity": [10, -2], "price": [10.5, 50.1]})
    frame["traded_at"] = pd.to_datetime(traded_at) if times == "utc" else traded_at
    file = io.BytesIO()
    frame.to_parquet(file)
    assert import_trades(portfolio.id, file.getvalue()).booked == 2
    assert Trade.objects.get(instrument="BBB").price == Decimal("50.1")


def test_gzipped_csv_is_booked_as_csv_is(portfolio: Portfolio) -> None:
    assert import_trades(portfolio.id, gzip.compress(csv(FIRST, SECOND))).booked == 2


def test_column_with_the_portfolios_own_id_is_accepted(portfolio: Portfolio) -> None:
    assert import_trades(portfolio.id, csv(f"{FIRST},BOOK", header=HEADER + ",portfolio_id")).booked == 1


IN_FUTURE = "2199-01-01T21:00:00Z"  # the same in each process of pytest-xdist: it is part of the test's name


@pytest.mark.parametrize(
    ("row", "code", "place"),
    [
        ("ZZZ,1,10,2022-01-03T21:00:00Z,T9", "unknown_symbol", "rows.3.symbol"),
        ("AAA,ten,10,2022-01-03T21:00:00Z,T9", "not_a_number", "rows.3.quantity"),
        ("AAA,0,10,2022-01-03T21:00:00Z,T9", "zero", "rows.3.quantity"),
        ("AAA,1,0,2022-01-03T21:00:00Z,T9", "not_positive", "rows.3.price"),
        ("AAA,1,-1,2022-01-03T21:00:00Z,T9", "not_positive", "rows.3.price"),
        ("AAA,1,NaN,2022-01-03T21:00:00Z,T9", "not_a_number", "rows.3.price"),
        ("AAA,1,inf,2022-01-03T21:00:00Z,T9", "not_a_number", "rows.3.price"),
        ("AAA,1,1e999,2022-01-03T21:00:00Z,T9", "not_a_number", "rows.3.price"),
        ("AAA,1,1_0,2022-01-03T21:00:00Z,T9", "not_a_number", "rows.3.price"),
        ("AAA,1,,2022-01-03T21:00:00Z,T9", "empty", "rows.3.price"),
        (",1,10,2022-01-03T21:00:00Z,T9", "empty", "rows.3.symbol"),
        ("AAA,1,10.123456789,2022-01-03T21:00:00Z,T9", "too_many_decimal_places", "rows.3.price"),
        ("AAA,1,10,2021-12-31T21:00:00Z,T9", "before_inception", "rows.3.traded_at"),
        (f"AAA,1,10,{IN_FUTURE},T9", "future_date", "rows.3.traded_at"),
        ("AAA,1,10,2022-01-03T21:00:00,T9", "invalid_time", "rows.3.traded_at"),
        ("AAA,1,10,2022-01-03,T9", "invalid_time", "rows.3.traded_at"),
        ("AAA,1,10,yesterday,T9", "invalid_time", "rows.3.traded_at"),
        ("AAA,1,10,2022-01-03T21:00:00Z,T1", "duplicate_row", "rows.3.external_id"),
        ("AAA,1,10,2022-01-03T21:00:00Z,T9,more", "wrong_number_of_values", "rows.3"),
        ("AAA,1,10", "wrong_number_of_values", "rows.3"),
    ],
)
def test_bad_row_is_told_by_row_and_column_and_nothing_is_booked(
    portfolio: Portfolio, row: str, code: str, place: str
) -> None:
    before = book_state()
    with pytest.raises(DomainErrors) as refusal:
        import_trades(portfolio.id, csv(FIRST, row, SECOND))
    assert [(error.code, error.attr) for error in refusal.value.errors] == [(code, place)]
    assert "Row 3" in refusal.value.detail
    assert book_state() == before


def test_row_with_the_external_id_of_another_trade_is_told(portfolio: Portfolio) -> None:
    make_trade(portfolio, quantity=99, external_id="T2")
    before = book_state()
    with pytest.raises(DomainErrors) as refusal:
        import_trades(portfolio.id, csv(FIRST, SECOND))
    assert [(error.code, error.attr) for error in refusal.value.errors] == [("external_id_taken", "rows.3.external_id")]
    assert book_state() == before


def test_row_of_another_portfolio_is_refused(portfolio: Portfolio) -> None:
    with pytest.raises(DomainErrors) as refusal:
        import_trades(portfolio.id, csv(f"{FIRST},OTHER", header=HEADER + ",portfolio_id"))
    assert refusal.value.errors[0].code == "other_portfolio"


def test_a_hundred_faults_are_listed_and_all_are_counted(portfolio: Portfolio) -> None:
    with pytest.raises(DomainErrors) as refusal:
        import_trades(portfolio.id, csv(*["AAA,x,y,2022-01-03T21:00:00Z,"] * 200))
    *listed, last = refusal.value.errors
    assert len(listed) == 100
    assert listed[-1].attr == "rows.51.price"  # two faults a row, from row 2 on
    assert last.detail == "The first 100 of 400 faults are listed."
    assert "400 faults" in refusal.value.detail


def test_closed_portfolio_takes_no_import(portfolio: Portfolio) -> None:
    close_portfolio(portfolio.id)
    with pytest.raises(PortfolioClosedError):
        import_trades(portfolio.id, csv(FIRST))


def test_more_rows_than_a_request_should_carry_are_refused(
    portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade_import, "MAX_ROWS", 1)
    with pytest.raises(FileError, match="2 trades"):
        import_trades(portfolio.id, csv(FIRST, SECOND))


def test_file_without_external_ids_books_once_however_often_it_is_sent(portfolio: Portfolio) -> None:
    content = b"symbol,quantity,price,traded_at\nAAA,1,10,2022-01-03T21:00:00Z\nAAA,2,10,2022-01-03T21:00:00Z\n"
    assert (import_trades(portfolio.id, content).booked, import_trades(portfolio.id, content).booked) == (2, 0)
    assert portfolio.trades.count() == 2


def test_equal_rows_without_external_ids_are_refused(portfolio: Portfolio) -> None:
    row = b"AAA,1,10,2022-01-03T21:00:00Z\n"
    with pytest.raises(DomainErrors) as refusal:
        import_trades(portfolio.id, b"symbol,quantity,price,traded_at\n" + row + row)
    assert refusal.value.errors[0].code == "duplicate_row"
    assert portfolio.trades.count() == 0
