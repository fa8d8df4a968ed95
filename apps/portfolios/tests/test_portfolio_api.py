"""`/api/v1/portfolios`: contract sections 1, 2 and 4."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.tests.factories import (
    book_state,
    client_of,
    make_client,
    make_group,
    make_portfolio,
    make_prices,
    make_trade,
    make_user,
)

pytestmark = pytest.mark.django_db

URL = "/api/v1/portfolios"
NEW = {"name": "Mine", "base_currency": "USD", "initial_cash": 1000, "inception_date": "2022-01-03"}


def errors_of(response: Any) -> list[tuple[str, str | None]]:
    return [(error["code"], error["attr"]) for error in response.json()["errors"]]


def test_opened_portfolio_gets_the_next_id_and_is_seen_by_its_creator() -> None:
    make_portfolio("PORTFOLIO_007")
    client = client_of("trader")
    answer = client.post(URL, NEW)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{URL}/PORTFOLIO_008"
    body = answer.json()
    assert (body["id"], body["groups"], body["trading_state"]) == ("PORTFOLIO_008", ["desk"], "active")
    assert (body["value"], body["cash"], body["exposure"], body["positions_count"]) == (1000.0, 1000.0, 0.0, 0)
    assert client.get(f"{URL}/PORTFOLIO_008").json() == body


def test_id_can_be_chosen_once() -> None:
    client = client_of("trader")
    assert client.post(URL, NEW | {"id": "MY_BOOK"}).json()["id"] == "MY_BOOK"
    assert errors_of(client.post(URL, NEW | {"id": "MY_BOOK"})) == [("portfolio_exists", None)]


@pytest.mark.parametrize(
    ("change", "code", "attr"),
    [
        ({"initial_cash": "1000"}, "invalid", "initial_cash"),
        ({"initial_cash": -1}, "not_positive", "initial_cash"),
        ({"initial_cash": 1e300}, "too_large", "initial_cash"),
        ({"inception_date": "2999-01-01"}, "future_date", "inception_date"),
        ({"inception_date": "3 January"}, "invalid", "inception_date"),
        ({"base_currency": "dollar"}, "max_length", "base_currency"),
        ({"base_currency": "usd"}, "invalid", "base_currency"),
        ({"benchmark": "ZZZ"}, "unknown_symbol", "benchmark"),
        ({"id": "a b"}, "invalid", "id"),
        ({"nmae": "Mine"}, "unknown_field", "nmae"),
        ({"groups": ["floor"]}, "unknown_group", "groups"),
        ({"groups": ["trader"]}, "unknown_group", "groups"),
        ({"groups": []}, "groups_required", "groups"),
    ],
)
def test_bad_portfolio_is_refused_and_nothing_is_opened(change: dict, code: str, attr: str) -> None:
    make_group("floor")
    client = client_of("trader")
    answer = client.post(URL, NEW | change)
    assert answer.status_code == 400
    assert (code, attr) in errors_of(answer)
    assert not Portfolio.objects.exists()


def test_creator_without_a_desk_is_told_to_get_one() -> None:
    assert errors_of(client_of("trader", groups=[]).post(URL, NEW)) == [("groups_required", "groups")]


def test_admin_may_open_for_any_desk_or_none() -> None:
    make_group("floor")
    client = client_of("admin", groups=[])
    assert client.post(URL, NEW | {"groups": ["floor"]}).json()["groups"] == ["floor"]
    assert client.post(URL, NEW).json()["groups"] == []


def test_value_adds_positions_at_their_latest_closes() -> None:
    make_prices()  # AAA ends at 14, BBB at 50
    portfolio = make_portfolio(initial_cash=1_000)
    make_trade(portfolio, "AAA", quantity=10, price=10)
    make_trade(portfolio, "BBB", quantity=-2, price=50)
    body = client_of("viewer").get(f"{URL}/{portfolio.id}").json()
    assert (body["value"], body["cash"], body["as_of"]) == (1_040.0, 1_000.0, "2022-01-07")
    assert (body["gross_exposure"], body["net_exposure"], body["exposure"]) == (240.0, 40.0, 240.0)
    assert body["positions_count"] == 2


def test_value_is_null_with_its_reason_where_a_held_symbol_has_no_price() -> None:
    Instrument.objects.create(symbol="NEW")
    portfolio = make_portfolio()
    make_trade(portfolio, "NEW")
    body = client_of("viewer").get(f"{URL}/{portfolio.id}").json()
    assert (body["value"], body["exposure"], body["value_reason"]) == (None, None, "no price of NEW")
    assert body["cash"] == 900.0


def test_list_takes_as_many_queries_for_fifty_portfolios_as_for_one() -> None:
    make_prices()
    client = client_of("viewer")
    make_trade(make_portfolio())
    client.get(URL)
    with CaptureQueriesContext(connection) as one:
        client.get(URL)
    for _ in range(49):
        make_trade(make_portfolio())
    with CaptureQueriesContext(connection) as fifty:
        assert client.get(URL).json()["count"] == 50
    assert len(fifty) == len(one)
    assert len(fifty) <= 8  # token, roles, count, page, groups, positions, prices


def test_list_shows_only_what_the_caller_may_see() -> None:
    mine, theirs = make_portfolio("MINE"), make_portfolio("THEIRS", groups=["other"])
    assert [row["id"] for row in client_of("viewer").get(URL).json()["results"]] == [mine.id]
    assert client_of("viewer").get(f"{URL}/{theirs.id}").status_code == 404


@pytest.mark.parametrize("query", ["?close=true", "?closed=yes", "?ordering=cash", "?trading_state=off"])
def test_filter_that_does_not_exist_is_refused(query: str) -> None:
    assert client_of("viewer").get(URL + query).status_code == 400


def test_closed_portfolio_leaves_the_list_and_stays_readable() -> None:
    portfolio, client = make_portfolio("MINE"), client_of("trader")
    assert client.delete(f"{URL}/MINE").status_code == 204
    assert client.delete(f"{URL}/MINE").status_code == 204
    assert client.get(URL).json()["count"] == 0
    assert client.get(f"{URL}?closed=true").json()["results"][0]["id"] == portfolio.id
    assert client.get(f"{URL}/MINE").json()["closed_at"] is not None
    assert errors_of(client.patch(f"{URL}/MINE", {"name": "x"})) == [("portfolio_closed", None)]


def test_trader_changes_name_benchmark_and_groups() -> None:
    make_prices()
    make_portfolio("MINE")
    client = client_of("trader", ["desk", "floor"])
    answer = client.patch(f"{URL}/MINE", {"name": "New", "benchmark": "BBB", "groups": ["floor"]}).json()
    assert (answer["name"], answer["benchmark"], answer["groups"]) == ("New", "BBB", ["floor"])
    assert client.patch(f"{URL}/MINE", {"benchmark": None}).json()["benchmark"] is None


@pytest.mark.parametrize(
    ("role", "change", "status"),
    [
        ("risk_manager", {"trading_state": "halted"}, 200),
        ("admin", {"trading_state": "halted", "name": "New"}, 200),
        ("trader", {"trading_state": "halted"}, 403),
        ("risk_manager", {"name": "New"}, 403),
        ("viewer", {"name": "New"}, 403),
        ("risk_manager", {"short_selling_allowed": False, "leverage_allowed": False}, 200),
        ("trader", {"short_selling_allowed": False}, 403),
        ("trader", {"leverage_allowed": True}, 403),
        ("risk_manager", {"leverage_allowed": "perhaps"}, 400),
        ("risk_manager", {"trading_state": "stopped"}, 400),
        ("trader", {"cash": 1e9}, 400),
        ("trader", {"benchmark": "ZZZ"}, 400),
    ],
)
def test_who_may_change_what(role: str, change: dict, status: int) -> None:
    make_portfolio("MINE")
    before = book_state()
    assert client_of(role).patch(f"{URL}/MINE", change).status_code == status
    assert (book_state() == before) is (status != 200)


def test_portfolio_shows_whether_it_may_sell_short_and_borrow() -> None:
    make_portfolio("MINE")
    body = client_of("risk_manager").patch(f"{URL}/MINE", {"leverage_allowed": False}).json()
    assert (body["short_selling_allowed"], body["leverage_allowed"]) == (True, False)
    assert client_of("viewer").get(f"{URL}/MINE").json()["leverage_allowed"] is False


def test_refusal_names_the_fields_that_the_role_may_not_change() -> None:
    make_portfolio("MINE")
    change = {"name": "New", "trading_state": "halted", "leverage_allowed": False}
    told = client_of("trader").patch(f"{URL}/MINE", change).json()["errors"][0]["detail"]
    assert told.startswith("To change leverage_allowed, trading_state needs the role 'risk_manager'")


@pytest.mark.parametrize(("boxes", "allowed"), [({}, False), ({"short_selling_allowed": "on"}, True)])
def test_flags_of_a_portfolio_are_ticked_in_the_admin(boxes: dict, allowed: bool) -> None:
    make_portfolio("MINE")
    client = Client()
    client.force_login(make_user("risk_manager", is_staff=True))
    inlines = {f"{lines}-{count}_FORMS": "0" for lines in ("positions", "trades") for count in ("TOTAL", "INITIAL")}
    form = {"trading_state": "active", "leverage_allowed": "on", **boxes, **inlines}
    assert client.post("/admin/portfolios/portfolio/MINE/change/", form).status_code == 302
    portfolio = Portfolio.objects.get()
    assert (portfolio.short_selling_allowed, portfolio.leverage_allowed) == (allowed, True)


@pytest.mark.parametrize("path", ["", "/MINE", "/MINE/positions", "/MINE/trades", "/MINE/cash-flows"])
def test_nothing_is_shown_without_credentials_or_to_an_operator(path: str) -> None:
    from rest_framework.test import APIClient

    make_portfolio("MINE")
    assert APIClient().get(URL + path).status_code == 401
    assert client_of("operator").get(URL + path).status_code == 403


@pytest.mark.parametrize("path", ["/MINE", "/MINE/positions", "/MINE/trades", "/MINE/cash-flows", "/%00"])
def test_hidden_portfolio_is_not_there_in_any_view(path: str) -> None:
    make_portfolio("MINE", groups=["other"])
    assert client_of("trader").get(URL + path).status_code == 404


def test_same_idempotency_key_opens_one_portfolio() -> None:
    client = make_client(make_user("trader"))
    first, again = (client.post(URL, NEW, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == again.json()
    assert Portfolio.objects.count() == 1


def test_positions_show_value_weight_and_unrealized_profit() -> None:
    make_prices()
    portfolio = make_portfolio("MINE", initial_cash=1_000)
    make_trade(portfolio, "AAA", quantity=10, price=10)
    make_trade(portfolio, "BBB", quantity=-2, price=60)
    rows = client_of("viewer").get(f"{URL}/MINE/positions").json()["results"]
    assert rows[0] == {
        "symbol": "AAA",
        "quantity": 10.0,
        "average_cost": 10.0,
        "price": 14.0,
        "price_date": "2022-01-07",
        "value": 140.0,
        "weight": pytest.approx(140 / 1_060),  # 1,020 in cash, 140 long, 100 short
        "unrealized_pnl": 40.0,
    }
    assert (rows[1]["value"], rows[1]["unrealized_pnl"]) == (-100.0, 20.0)


def test_positions_come_in_pages_and_by_symbol() -> None:
    make_prices()
    portfolio, client = make_portfolio("MINE"), client_of("viewer")
    make_trade(portfolio, "AAA")
    make_trade(portfolio, "BBB")
    page = client.get(f"{URL}/MINE/positions?page_size=1").json()
    assert (page["count"], len(page["results"]), page["next"] is not None) == (2, 1, True)
    assert client.get(f"{URL}/MINE/positions?symbol=BBB").json()["count"] == 1
    assert client.get(f"{URL}/MINE/positions?ordering=value").status_code == 400
