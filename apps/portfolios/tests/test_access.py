"""Who sees which portfolio, over REST and by topic."""

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.exceptions import PermissionDenied

from apps.portfolios.access import check_trader_of, get_visible_portfolio, may_read_portfolio, visible_portfolios
from apps.portfolios.errors import PortfolioNotFoundError
from apps.portfolios.tests.factories import make_portfolio, make_user
from apps.realtime.access import may_subscribe

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "groups", "sees"),
    [
        ("viewer", ["desk"], True),
        ("trader", ["desk"], True),
        ("viewer", ["other"], False),
        ("risk_manager", [], True),
        ("admin", [], True),
        ("operator", ["desk"], False),
        (None, ["desk"], False),
    ],
)
def test_portfolio_is_seen_by_its_groups_and_by_who_sees_all(role: str | None, groups: list[str], sees: bool) -> None:
    portfolio = make_portfolio(groups=["desk"])
    user = make_user(role, groups)
    assert visible_portfolios(user).filter(pk=portfolio.pk).exists() is sees
    assert may_read_portfolio(user, portfolio.id) is sees


def test_two_shared_groups_show_a_portfolio_once() -> None:
    make_portfolio(groups=["desk", "floor"])
    assert visible_portfolios(make_user("viewer", ["desk", "floor"])).count() == 1


def test_hidden_and_unknown_portfolios_are_told_in_the_same_words() -> None:
    user, hidden = make_user("viewer", ["other"]), make_portfolio("HIDDEN")
    told = []
    for portfolio_id in (hidden.id, "NOBODY", "\0"):
        with pytest.raises(PortfolioNotFoundError) as refusal:
            get_visible_portfolio(user, portfolio_id)
        told.append(refusal.value.detail.replace(portfolio_id, "…"))
    assert len(set(told)) == 1


@pytest.mark.parametrize("prefix", ["portfolio:updates", "analytics:updates", "risk:alerts"])
def test_topics_of_a_portfolio_follow_the_same_rule(prefix: str) -> None:
    portfolio = make_portfolio()
    insider, outsider, manager = make_user("viewer"), make_user("viewer", ["other"]), make_user("risk_manager", [])
    assert may_subscribe(insider, f"{prefix}:{portfolio.id}")
    assert not may_subscribe(outsider, f"{prefix}:{portfolio.id}")
    assert not may_subscribe(insider, f"{prefix}:*")
    assert may_subscribe(manager, f"{prefix}:*")
    assert not may_subscribe(AnonymousUser(), f"{prefix}:{portfolio.id}")


def test_trader_of_a_portfolio_has_the_role_and_sees_it() -> None:
    portfolio = make_portfolio()
    check_trader_of(make_user("trader"), portfolio.id)
    with pytest.raises(PermissionDenied):
        check_trader_of(make_user("viewer"), portfolio.id)
    with pytest.raises(PortfolioNotFoundError):
        check_trader_of(make_user("trader", ["other"]), portfolio.id)
