"""The admin: every page opens, the ledger is written through its operations only, roles see what is theirs."""

from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from knox.models import AuthToken

from apps.portfolios.histories import refresh_histories
from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.models import Portfolio, Position, Trade
from apps.portfolios.tests.factories import (
    INCEPTION,
    book_state,
    make_group,
    make_portfolio,
    make_prices,
    make_trade,
    make_user,
)
from apps.risk.analysis import run_analysis
from apps.strategies.errors import MergeConflictError
from apps.strategies.models import Deployment, DeploymentOrder, Strategy, StrategyVersion
from apps.strategies.tests.api_factories import EQUAL_WEIGHT, make_deployment, make_order, make_run, make_versions
from apps.strategies.versions import post_version
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

pytestmark = pytest.mark.django_db

OURS = ("analytics", "api", "auth", "knox", "portfolios", "realtime", "risk", "strategies", "tasks")
MODELS = sorted((m for m in admin.site._registry if m._meta.app_label in OURS), key=lambda m: m._meta.label)

ANALYZE = {
    "method": "historical",
    "confidence": 0.75,
    "horizon_days": 1,
    "horizon_method": "sqrt_time",
    "window_days": 4,
    "as_of": None,
}


def signed_in(role: str, **fields: object) -> Client:
    client = Client()
    client.force_login(make_user(role, is_staff=True, **fields))
    return client


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def book() -> Portfolio:
    from decimal import Decimal

    make_prices()
    portfolio = make_portfolio("BOOK", initial_cash=1_000)
    make_trade(portfolio)
    book_cash_flow("BOOK", Decimal(5), datetime(2022, 1, 4, tzinfo=UTC).date())
    refresh_histories()
    task = make_task("risk.analyze", ANALYZE, portfolio_id="BOOK")
    execute(take(str(task.pk), "w1"), run_analysis)
    AuthToken.objects.create(make_user("viewer"))
    make_strategy(portfolio)
    portfolio.refresh_from_db()
    return portfolio


def make_strategy(portfolio: Portfolio) -> None:
    """Two versions, the second one running with a run and an order, and a third that collides with it."""
    versions = make_versions(count=2)
    make_order(make_run(make_deployment(versions[1], portfolio), INCEPTION))
    with pytest.raises(MergeConflictError):
        post_version("STRATEGY_001", parent_version=1, code=EQUAL_WEIGHT, parameters={"gross": 0.8}, author="bob")


def path(model: type, page: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{page}"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_opens_for_an_admin(root, book, model):
    assert root.get(path(model)).status_code == 200
    assert root.get(path(model) + "?q=A").status_code == 200
    row = model._default_manager.first()
    if row is not None:
        assert root.get(path(model, f"{row.pk}/change/")).status_code == 200
    if admin.site._registry[model].has_add_permission(type("R", (), {"user": User.objects.get(username="root")})()):
        assert root.get(path(model, "add/")).status_code == 200


# What a browser sends of the lists beside a portfolio's fields.
INLINES = {f"{lines}-{count}_FORMS": "0" for lines in ("positions", "trades") for count in ("TOTAL", "INITIAL")}


def trade_form(**changed: object) -> dict[str, object]:
    form = {"portfolio": "BOOK", "instrument": "AAA", "quantity": "5", "price": "11", "external_id": "A-1"}
    return {**form, "traded_at_0": "2022-01-04", "traded_at_1": "21:00:00", **changed}


def test_trade_that_is_added_moves_position_and_cash(root, book):
    answer = root.post(path(Trade, "add/"), trade_form())
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    after = Portfolio.objects.get(pk="BOOK")
    assert (after.cash, after.ledger_version) == (book.cash - 55, book.ledger_version + 1)
    assert Position.objects.get(portfolio="BOOK").quantity == 15
    assert Trade.objects.get(external_id="A-1").booked_by.username == "root"


def test_trade_that_is_refused_says_why_and_changes_nothing(root, book):
    before = book_state()
    answer = root.post(path(Trade, "add/"), trade_form(traded_at_0="2021-12-01"))
    assert answer.status_code == 200
    assert "2022-01-03" in answer.content.decode()
    assert book_state() == before


def test_booked_trade_cannot_be_changed_or_deleted_by_anyone(root, book):
    trade = Trade.objects.get()
    assert root.post(path(Trade, f"{trade.pk}/change/"), trade_form()).status_code == 403
    assert root.post(path(Trade, f"{trade.pk}/delete/"), {"post": "yes"}).status_code == 403


def test_portfolio_that_is_added_is_opened_with_its_cash(root):
    form = {"id": "NEW", "name": "New", "base_currency": "USD", "initial_cash": "500", "inception_date": "2022-01-03"}
    answer = root.post(path(Portfolio, "add/"), form)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert Portfolio.objects.get(pk="NEW").cash == 500


def test_risk_manager_halts_a_portfolio(book):
    client = signed_in("risk_manager")
    answer = client.post(
        path(Portfolio, "BOOK/change/"), {"name": "Not mine to give", "trading_state": "halted", **INLINES}
    )
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    portfolio = Portfolio.objects.get(pk="BOOK")
    assert (portfolio.trading_state, portfolio.name) == ("halted", "A book")


@pytest.mark.parametrize(
    ("role", "model", "status"),
    [
        ("viewer", Portfolio, 403),
        ("trader", Trade, 403),
        ("trader", Task, 403),
        ("operator", Task, 200),
        ("operator", Portfolio, 403),
        ("risk_manager", Portfolio, 200),
        ("trader", Strategy, 403),
        ("strategist", StrategyVersion, 200),
        ("strategist", Deployment, 403),
        ("operator", Deployment, 200),
        ("operator", DeploymentOrder, 403),
        ("risk_manager", DeploymentOrder, 200),
        ("risk_manager", AuthToken, 403),
        ("risk_manager", User, 403),
        ("admin", AuthToken, 200),
        ("admin", User, 200),
        ("admin", Group, 200),
    ],
)
def test_staff_sees_what_its_role_allows(book, role, model, status):
    assert signed_in(role).get(path(model)).status_code == status


def run_action(client: Client, model: type, action: str, *ids: object) -> str:
    answer = client.post(path(model), {"action": action, "_selected_action": list(ids)}, follow=True)
    return answer.content.decode()


def test_task_is_retried_from_the_list(root, book):
    task = Task.objects.get()
    assert "retried as" in run_action(root, Task, "retry", task.pk)
    assert Task.objects.get(retry_of=task).inputs == task.inputs


def test_operator_cancels_but_does_not_repeat_what_needs_a_trader(book):
    task = make_task("risk.analyze", ANALYZE, portfolio_id="BOOK")
    client = signed_in("operator")
    assert "is cancelled" in run_action(client, Task, "cancel", task.pk)
    assert "needs the role" in run_action(client, Task, "retry", task.pk)
    assert not Task.objects.filter(retry_of=task).exists()


def test_token_is_shown_once_and_kept_as_a_hash(root, book):
    user = make_user("trader")
    answer = root.post(path(User), {"action": "make_token", "_selected_action": [user.pk]})
    row = AuthToken.objects.get(user=user)
    assert row.token_key in answer.content.decode()
    assert "messages" not in answer.cookies  # what travels there can be read
    for page in (path(User), path(AuthToken), path(AuthToken, f"{row.pk}/change/"), "/admin/"):
        assert row.token_key not in root.get(page).content.decode()


def test_hash_of_a_token_is_not_shown(root, book):
    row = AuthToken.objects.get()
    assert str(row) not in root.get(path(AuthToken, f"{row.pk}/change/")).content.decode()


def test_revoked_token_is_gone_and_logged_without_its_hash(root, book):
    row = AuthToken.objects.get()
    assert "is revoked" in run_action(root, AuthToken, "revoke", row.pk)
    assert not AuthToken.objects.exists()
    assert row.digest not in LogEntry.objects.get().object_repr


def test_role_is_not_deleted_and_a_desk_is(root):
    for name, remains in (("admin", True), ("desk", False)):
        group = make_group(name)
        root.post(path(Group, f"{group.pk}/delete/"), {"post": "yes"})
        assert Group.objects.filter(name=name).exists() is remains


@pytest.mark.parametrize("wrong", [{"id": "a b/.."}, {"base_currency": "us$"}, {"inception_date": "2100-01-01"}])
def test_portfolio_that_the_api_would_refuse_is_refused(root, wrong):
    form = {"id": "NEW", "name": "New", "base_currency": "USD", "initial_cash": "500", "inception_date": "2022-01-03"}
    assert "expected" in root.post(path(Portfolio, "add/"), {**form, **wrong}).content.decode().lower()
    assert not Portfolio.objects.exists()


def test_risk_manager_neither_opens_nor_closes_portfolios(book):
    client = signed_in("risk_manager")
    assert client.get(path(Portfolio, "add/")).status_code == 403
    assert client.post(path(Portfolio, "BOOK/close/"), {"_form_submitted": "True"}).status_code == 403


def test_portfolio_is_closed_by_an_admin_once_confirmed(book):
    client = signed_in("admin")
    client.get(path(Portfolio, "BOOK/close/"))
    assert Portfolio.objects.get(pk="BOOK").closed_at is None
    client.post(path(Portfolio, "BOOK/close/"), {"_form_submitted": "True"})
    assert Portfolio.objects.get(pk="BOOK").closed_at is not None
    assert client.post(path(Portfolio, "BOOK/change/"), {"name": "Other", **INLINES}).status_code == 403


def test_portfolio_saved_as_it_was_stays_as_it_was(root, book):
    same = {"name": "A book", "trading_state": "active", "groups": [make_group().pk], **INLINES}
    assert root.post(path(Portfolio, "BOOK/change/"), same).status_code == 302
    assert Portfolio.objects.get(pk="BOOK").groups.get().name == "desk"


@pytest.mark.parametrize("model", [Task, Portfolio, Trade])
def test_lists_take_no_query_a_row(root, book, model, django_assert_max_num_queries):
    for number in range(20):
        make_task("risk.analyze", ANALYZE, portfolio_id="BOOK")
        make_trade(make_portfolio(f"B{number}"))
    with django_assert_max_num_queries(14):
        root.get(path(model))
