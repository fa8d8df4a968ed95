"""The sample book has the worked figures of sample_data/README.md, to the cent."""

import pytest
from django.core.management import CommandError, call_command

from apps.portfolios.histories import portfolio_history
from apps.portfolios.holdings import value_portfolios
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Instrument, Portfolio, Trade
from apps.portfolios.prices import current_price_version
from apps.portfolios.tests.factories import book_state, client_of

pytestmark = pytest.mark.django_db

WORKED = {
    "PORTFOLIO_001": (3_631_775.22, 6_833.52),
    "PORTFOLIO_002": (4_643_734.00, 1_512_038.00),
    "PORTFOLIO_003": (1_270_050.00, 182_797.10),
}


def test_worked_values_and_cash_come_out_to_the_cent(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("load_sample_book")
    assert capsys.readouterr().out == "Sample book loaded: 3 portfolios, 172 trades, 174573 prices.\n"
    valuations = value_portfolios(Portfolio.objects.all())
    assert {key: (round(each.value or 0, 2), round(each.cash, 2)) for key, each in valuations.items()} == WORKED
    assert {str(each.as_of) for each in valuations.values()} == {"2022-12-28"}
    check_sectors()
    check_histories()
    check_api()
    check_second_load_changes_nothing(capsys)


def check_sectors() -> None:
    sectors = dict(Instrument.objects.values_list("symbol", "sector"))
    assert (sectors["AAPL"], sectors["XOM"], sectors["SP500"]) == ("Information Technology", "Energy", "")
    assert [symbol for symbol, sector in sectors.items() if not sector] == ["SP500"]


def check_histories() -> None:
    matrix = load_matrix(current_price_version())
    for portfolio in Portfolio.objects.all():
        history = portfolio_history(portfolio, portfolio.ledger_version, matrix, portfolio.benchmark_id)
        assert (round(history.values[-1], 2), round(history.cash[-1], 2)) == WORKED[portfolio.id]
        assert history.dates[0] == portfolio.inception_date


def check_api() -> None:
    answer = client_of("viewer", ["sample_book"]).get("/api/v1/portfolios").json()
    assert {row["id"]: (round(row["value"], 2), round(row["cash"], 2)) for row in answer["results"]} == WORKED


def check_second_load_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = book_state()
    call_command("load_sample_book")
    assert "nothing was changed" in capsys.readouterr().out
    assert book_state() == before
    assert Trade.objects.count() == 172


def test_folder_without_the_files_is_told(tmp_path: object) -> None:
    with pytest.raises(CommandError, match=r"portfolios\.csv"):
        call_command("load_sample_book", folder=tmp_path)
