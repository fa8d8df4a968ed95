"""A portfolio's life but for its bookings: opened, changed, closed."""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone

from apps.portfolios.booking import announce, lock_portfolio, raise_all, refuse_closed
from apps.portfolios.errors import (
    DeskNeededError,
    FutureDateError,
    NotPositiveError,
    PortfolioExistsError,
    UnknownGroupError,
    UnknownSymbolError,
)
from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.trade_rows import faults_of_amount
from nautilus.api.access import ROLES, sees_every_portfolio

_NUMBERED = re.compile(r"PORTFOLIO_([0-9]{1,9})")

# Ids are given one after the other, or two callers would be given the same.
_OPENING_LOCK = 0x6E617574_02


@transaction.atomic
def open_portfolio(
    *,
    name: str,
    initial_cash: Decimal,
    inception_date: date,
    base_currency: str = "USD",
    benchmark: str | None = None,
    portfolio_id: str | None = None,
    groups: Iterable[Group] = (),
) -> Portfolio:
    """Opens a portfolio; without an id it is the next PORTFOLIO_nnn. Members of `groups` see it.

    Raises PortfolioExistsError, FutureDateError, UnknownSymbolError for the benchmark.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_OPENING_LOCK])
    _check(initial_cash, inception_date, benchmark)
    if portfolio_id and Portfolio.objects.filter(pk=portfolio_id).exists():
        raise PortfolioExistsError(
            f"There is a portfolio '{portfolio_id}' already.", "Choose another id, or none.", "id"
        )
    portfolio = Portfolio.objects.create(
        id=portfolio_id or _next_id(),
        name=name,
        base_currency=base_currency,
        initial_cash=initial_cash,
        cash=initial_cash,
        inception_date=inception_date,
        benchmark_id=benchmark,
    )
    portfolio.groups.set(groups)
    announce(portfolio, "portfolio.opened")
    return portfolio


def _next_id() -> str:
    taken = Portfolio.objects.filter(id__startswith="PORTFOLIO_").values_list("id", flat=True)
    numbers = [int(match[1]) for match in map(_NUMBERED.fullmatch, taken) if match]
    return f"PORTFOLIO_{max(numbers, default=0) + 1:03d}"


def _check(initial_cash: Decimal, inception_date: date, benchmark: str | None) -> None:
    errors = list(faults_of_amount(initial_cash, "initial_cash"))
    if initial_cash < 0:
        errors.append(NotPositiveError(f"{initial_cash} is below zero.", "Expected 0 or more.", "initial_cash"))
    if inception_date > timezone.now().date():
        errors.append(
            FutureDateError(f"{inception_date} is in the future.", "Expected today or earlier.", "inception_date")
        )
    raise_all(errors)
    _check_benchmark(benchmark)


def _check_benchmark(symbol: str | None) -> None:
    if symbol is not None and ("\0" in symbol or not Instrument.objects.filter(pk=symbol).exists()):
        raise UnknownSymbolError(symbol, attr="benchmark")


@transaction.atomic
def change_portfolio(portfolio_id: str, changes: dict[str, Any]) -> Portfolio:
    """Sets any of name, benchmark (a symbol or None), trading_state and groups; of an open portfolio only."""
    portfolio = lock_portfolio(portfolio_id)
    refuse_closed(portfolio)
    fields = dict(changes)
    groups = fields.pop("groups", None)
    if "benchmark" in fields:
        _check_benchmark(fields["benchmark"])
        fields["benchmark_id"] = fields.pop("benchmark")
    Portfolio.objects.filter(pk=portfolio_id).update(**fields)
    if groups is not None:
        portfolio.groups.set(groups)
    portfolio.refresh_from_db()
    announce(portfolio, "portfolio.changed", trading_state=portfolio.trading_state)
    return portfolio


@transaction.atomic
def close_portfolio(portfolio_id: str) -> Portfolio:
    """Takes it off the list and ends its bookings; what was booked stays. A second time does nothing."""
    portfolio = lock_portfolio(portfolio_id)
    if portfolio.closed_at is None:
        portfolio.closed_at = timezone.now()
        portfolio.save(update_fields=["closed_at"])
        announce(portfolio, "portfolio.closed")
    return portfolio


def desks_of(user: Any) -> list[Group]:
    """The user's groups that are no roles: whoever shares one sees the same books."""
    return list(user.groups.exclude(name__in=ROLES).order_by("name"))


def chosen_groups(user: Any, names: list[str] | None) -> list[Group]:
    """The groups a portfolio of this user's is for: the named ones, or all desks of the user.

    Risk managers and admins may name any group but the roles, or none; others their own, and at least one, as nobody
    would see the portfolio otherwise.
    """
    groups = desks_of(user) if names is None else [_group(user, name) for name in names]
    if not groups and not sees_every_portfolio(user):
        raise DeskNeededError(
            "A portfolio belongs to the members of a group, and none is given.",
            "Name one of your groups, or ask an admin to put you into one.",
            "groups",
        )
    return groups


def _group(user: Any, name: str) -> Group:
    may_name = (
        Group.objects.exclude(name__in=ROLES) if sees_every_portfolio(user) else user.groups.exclude(name__in=ROLES)
    )
    group = may_name.filter(name=name).first() if "\0" not in name else None
    if group is None:
        known = ", ".join(may_name.order_by("name").values_list("name", flat=True)[:20]) or "none"
        raise UnknownGroupError(f"'{name[:60]}' is not a group that you may name.", f"You may name: {known}.", "groups")
    return group
