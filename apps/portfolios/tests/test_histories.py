"""A portfolio's value day by day, and what is stored of it."""

import logging
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from apps.portfolios import histories
from apps.portfolios.errors import MissingPriceError, NoTradingDayError, NoValueError
from apps.portfolios.histories import History, portfolio_history, refresh_histories, store_history
from apps.portfolios.ledger import book_cash_flow, close_portfolio
from apps.portfolios.matrix import load_matrix
from apps.portfolios.models import Portfolio, PortfolioData, PortfolioReturn
from apps.portfolios.prices import current_price_version
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_trade, trading_days

pytestmark = pytest.mark.django_db

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = trading_days(5)
SATURDAY = date(2022, 1, 8)


def history_of(portfolio: Portfolio) -> History:
    portfolio.refresh_from_db()
    return portfolio_history(
        portfolio, portfolio.ledger_version, load_matrix(current_price_version()), portfolio.benchmark_id
    )


def test_value_is_cash_and_positions_at_each_close() -> None:
    make_prices({"AAA": [10.0, 11.0, 12.0]})
    portfolio = make_portfolio(initial_cash=1_000)
    make_trade(portfolio, quantity=10, price=10, day=MONDAY)
    make_trade(portfolio, quantity=-4, price=12, day=WEDNESDAY)
    history = history_of(portfolio)
    assert history.dates.tolist() == [MONDAY, TUESDAY, WEDNESDAY]
    assert history.values.tolist() == [1_000, 1_010, 1_020]
    assert history.cash.tolist() == [900, 900, 948]
    assert history.gross.tolist() == history.net.tolist() == [100, 110, 72]
    assert history.positions_count.tolist() == [1, 1, 1]
    np.testing.assert_allclose(history.returns, [0.01, 1_020 / 1_010 - 1], rtol=1e-15)


def test_cash_flow_is_no_return() -> None:
    make_prices({"AAA": [10.0, 10.0, 10.0]})
    portfolio = make_portfolio(initial_cash=1_000)
    book_cash_flow(portfolio.id, Decimal(500), TUESDAY)
    history = history_of(portfolio)
    assert history.values.tolist() == [1_000, 1_500, 1_500]
    assert history.net_flows.tolist() == [0, 500, 0]
    assert history.returns.tolist() == [0, 0]


def test_trade_on_a_day_without_prices_counts_from_the_next() -> None:
    make_prices({"AAA": [10.0] * 5 + [20.0]})
    portfolio = make_portfolio(initial_cash=1_000)
    make_trade(portfolio, quantity=10, price=15, day=SATURDAY)
    history = history_of(portfolio)
    assert history.values.tolist() == [1_000] * 5 + [1_050]


def test_inception_on_a_day_without_prices_counts_from_the_next() -> None:
    make_prices({"AAA": [10.0] * 7})
    history = history_of(make_portfolio(inception_date=SATURDAY))
    assert history.dates.tolist() == trading_days(2, SATURDAY)
    assert len(history.returns) == 1


def test_history_of_an_older_ledger_does_not_know_later_trades() -> None:
    make_prices()
    portfolio = make_portfolio(initial_cash=1_000)
    make_trade(portfolio, day=TUESDAY)
    matrix = load_matrix(current_price_version())
    assert portfolio_history(portfolio, 0, matrix, None).positions_count.tolist() == [0] * 5
    assert portfolio_history(portfolio, 1, matrix, None).positions_count.tolist() == [0, 1, 1, 1, 1]


def test_missing_price_of_a_held_symbol_names_symbol_and_day() -> None:
    make_prices({"AAA": [10.0, None, 12.0], "BBB": [1.0, 1.0, 1.0]})
    portfolio = make_portfolio(benchmark="BBB")
    make_trade(portfolio)
    with pytest.raises(MissingPriceError, match="AAA on 2022-01-04"):
        history_of(portfolio)


def test_day_on_which_neither_book_nor_benchmark_trades_is_no_day_of_its_history() -> None:
    make_prices({"AAA": [10.0, None, 12.0], "BBB": [1.0, 1.0, 1.0]})
    portfolio = make_portfolio()
    make_trade(portfolio)
    assert history_of(portfolio).dates.tolist() == [MONDAY, WEDNESDAY]


def test_price_missing_while_nothing_is_held_does_not_matter() -> None:
    make_prices({"AAA": [None, 10.0, 10.0], "BBB": [1.0, 1.0, 1.0]})
    portfolio = make_portfolio(benchmark="BBB")
    make_trade(portfolio, day=TUESDAY)
    assert len(history_of(portfolio).values) == 3


def test_held_symbol_without_any_price_is_named() -> None:
    make_prices({"AAA": [10.0]})
    from apps.portfolios.models import Instrument

    Instrument.objects.create(symbol="NEW")
    portfolio = make_portfolio()
    make_trade(portfolio, "NEW")
    with pytest.raises(MissingPriceError, match="NEW"):
        history_of(portfolio)


def test_history_ends_on_the_last_day_on_which_all_that_is_held_has_a_price() -> None:
    make_prices({"AAA": [10.0, 11.0, None], "BBB": [1.0, 1.0, 1.0]})
    portfolio = make_portfolio(benchmark="BBB")
    make_trade(portfolio)
    assert history_of(portfolio).dates.tolist() == [MONDAY, TUESDAY]


def test_portfolio_younger_than_all_prices_has_no_trading_day() -> None:
    make_prices()
    with pytest.raises(NoTradingDayError, match="prices end on 2022-01-07"):
        history_of(make_portfolio(inception_date=date(2022, 2, 1)))


def test_history_begins_with_the_first_money() -> None:
    make_prices()
    portfolio = make_portfolio(initial_cash=0)
    book_cash_flow(portfolio.id, Decimal(100), WEDNESDAY)
    history = history_of(portfolio)
    assert history.dates.tolist() == [WEDNESDAY, THURSDAY, FRIDAY]
    assert history.returns.tolist() == [0, 0]


def test_value_below_zero_has_no_return() -> None:
    make_prices({"AAA": [10.0, 200.0, 300.0]})
    portfolio = make_portfolio(initial_cash=100)
    make_trade(portfolio, quantity=-1, price=10)
    with pytest.raises(NoValueError, match="2022-01-04"):
        history_of(portfolio)


def test_stored_history_of_a_ruined_portfolio_ends_its_returns_and_keeps_its_values() -> None:
    make_prices({"AAA": [10.0, 200.0, 300.0]})
    portfolio = make_portfolio(initial_cash=100)
    make_trade(portfolio, quantity=-1, price=10)
    portfolio.refresh_from_db()
    store_history(portfolio)
    assert list(PortfolioData.objects.order_by("date").values_list("value", flat=True)) == [100, -90, -190]
    assert PortfolioReturn.objects.count() == 1


def test_stored_history_is_the_computed_one() -> None:
    make_prices()
    portfolio = make_portfolio()
    make_trade(portfolio)
    history = history_of(portfolio)
    assert store_history(portfolio)
    data = PortfolioData.objects.order_by("date")
    assert list(data.values_list("date", "value")) == list(zip(trading_days(5), history.values, strict=True))
    returns = PortfolioReturn.objects.order_by("date").values_list("date", "value")
    assert list(returns) == list(zip(trading_days(5)[1:], history.returns, strict=True))


def test_history_that_is_up_to_date_is_not_written_again() -> None:
    make_prices()
    portfolio = make_portfolio()
    assert store_history(portfolio)
    assert not store_history(portfolio)


def test_older_history_never_replaces_a_newer_one() -> None:
    make_prices()
    portfolio = make_portfolio()
    stale = Portfolio.objects.get(pk=portfolio.pk)
    make_trade(portfolio)
    portfolio.refresh_from_db()
    assert store_history(portfolio)
    assert not store_history(stale)
    assert PortfolioData.objects.filter(positions_count=1).count() == 5


def test_refresh_writes_what_is_behind_its_ledger_or_the_prices() -> None:
    assert refresh_histories() == 0
    make_prices()
    first, second = make_portfolio(), make_portfolio()
    assert refresh_histories() == 2
    make_trade(first)
    assert refresh_histories() == 1
    make_prices({"AAA": [10.0, 11.0, 12.0, 13.0, 14.5]})
    assert refresh_histories() == 2
    close_portfolio(second.id)
    make_prices({"AAA": [10.0, 11.0, 12.0, 13.0, 15.0]})
    assert refresh_histories() == 1


def test_portfolio_that_fails_is_logged_and_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_prices({"AAA": [10.0, None, 12.0], "BBB": [1.0, 1.0, 1.0]})
    broken, sound = make_portfolio("A_BROKEN", benchmark="BBB"), make_portfolio("B_SOUND")
    make_trade(broken)
    with caplog.at_level(logging.WARNING):
        assert refresh_histories() == 1
    assert "A_BROKEN" in caplog.text
    assert PortfolioData.objects.filter(portfolio=sound).count() == 3


def test_fault_of_ours_in_one_portfolio_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_prices()
    make_portfolio("A_BROKEN")
    make_portfolio("B_SOUND")
    real = histories.store_history

    def failing(portfolio: Portfolio, matrix: object) -> bool:
        if portfolio.id == "A_BROKEN":
            raise RuntimeError("a fault")
        return real(portfolio, matrix)  # type: ignore[arg-type]

    monkeypatch.setattr(histories, "store_history", failing)
    assert refresh_histories() == 1
    assert "could not be made" in caplog.text
