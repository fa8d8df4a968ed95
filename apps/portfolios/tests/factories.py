"""Small worlds for tests: users with a role, prices, portfolios and clients that are signed in."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from knox.models import AuthToken
from rest_framework.test import APIClient

from apps.portfolios.ledger import book_trade, open_portfolio
from apps.portfolios.models import Portfolio, Trade
from apps.portfolios.price_import import PriceImport, import_prices

INCEPTION = date(2022, 1, 3)  # a Monday
DESK = "desk"

_numbers = count(1)


def make_group(name: str = DESK) -> Group:
    # get_or_create: a test with transaction=True leaves the tables without the migrations' roles.
    return Group.objects.get_or_create(name=name)[0]


def make_user(role: str | None = "trader", groups: Iterable[str] = (DESK,), **fields: Any) -> Any:
    """A user with a role, in the desk that `make_portfolio` gives its portfolios to."""
    fields.setdefault("username", f"{role or 'nobody'}-{next(_numbers)}")
    user = get_user_model().objects.create_user(**fields)
    user.groups.set([make_group(name) for name in (*([role] if role else []), *groups)])
    return user


def make_client(user: Any) -> APIClient:
    """A client with the user's bearer token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AuthToken.objects.create(user)[1]}")
    return client


def client_of(role: str | None = "trader", groups: Iterable[str] = (DESK,)) -> APIClient:
    return make_client(make_user(role, groups))


def trading_days(days: int, start: date = INCEPTION) -> list[date]:
    """The next `days` weekdays, `start` being the first."""
    all_days = (start + timedelta(days=number) for number in range(days * 2 + 7))
    return [day for day in all_days if day.weekday() < 5][:days]


def make_prices(
    closes: Mapping[str, Sequence[float | None]] | None = None, start: date = INCEPTION, source: str = "test"
) -> PriceImport:
    """Imports closes from `start` on, a value a weekday, None for none. Without any: AAA at 10, 11, … and BBB at 50."""
    closes = closes or {"AAA": [10.0, 11.0, 12.0, 13.0, 14.0], "BBB": [50.0] * 5}
    rows = [
        f"{day},{symbol},{close!r}"
        for symbol, values in closes.items()
        for day, close in zip(trading_days(len(values), start), values, strict=True)
        if close is not None
    ]
    return import_prices("\n".join(["date,symbol,close", *rows]).encode(), source)


def make_portfolio(
    portfolio_id: str | None = None,
    initial_cash: Decimal | int = 1_000,
    inception_date: date = INCEPTION,
    groups: Iterable[str] = (DESK,),
    **fields: Any,
) -> Portfolio:
    return open_portfolio(
        portfolio_id=portfolio_id or f"BOOK_{next(_numbers)}",
        name=fields.pop("name", "A book"),
        initial_cash=Decimal(initial_cash),
        inception_date=inception_date,
        groups=[make_group(name) for name in groups],
        **fields,
    )


def moment(day: date = INCEPTION, hour: int = 21) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def make_trade(
    portfolio: Portfolio,
    symbol: str = "AAA",
    quantity: Decimal | int | str = 10,
    price: Decimal | int | str = 10,
    day: date = INCEPTION,
    **fields: Any,
) -> Trade:
    return book_trade(portfolio.id, symbol, Decimal(quantity), Decimal(price), moment(day), **fields)


def book_state() -> dict[str, list[Any]]:
    """Everything that bookings and imports write: equal before and after what was refused."""
    from apps.portfolios import models

    names = ("Instrument", "Portfolio", "Trade", "CashFlow", "Position", "PriceVersion", "DailyPrice")
    return {name: list(getattr(models, name).objects.order_by("pk").values()) for name in names}
