"""Strategies: named, described, and empty until their first version."""

from typing import Any

from django.db import connection, transaction

from apps.portfolios.models import readable_id
from apps.portfolios.names import is_portfolio_id
from apps.strategies.errors import BadStrategyIdError, StrategyExistsError
from apps.strategies.models import Strategy
from apps.strategies.numbering import next_id, next_number, number_of

_PREFIX = "STRATEGY_"

# Ids are given one after the other, or two callers would be given the same.
_CREATING_LOCK = 0x6E617574_04


@transaction.atomic
def create_strategy(*, name: str, description: str = "", strategy_id: str | None = None, user: Any = None) -> Strategy:
    """A strategy without versions; without an id it is the next STRATEGY_nnn.

    Raises StrategyExistsError, BadStrategyIdError.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATING_LOCK])
    if strategy_id is not None:
        _refuse_id(strategy_id)
    return Strategy.objects.create(
        id=strategy_id or next_id(Strategy, _PREFIX), name=name, description=description, created_by=user
    )


def _refuse_id(strategy_id: str) -> None:
    if not is_portfolio_id(strategy_id):
        raise BadStrategyIdError(
            f"{strategy_id[:100]!r} cannot be the id of a strategy.", f"Here is {readable_id.message}.", "id"
        )
    if Strategy.objects.filter(pk=strategy_id).exists():
        raise StrategyExistsError(f"There is a strategy '{strategy_id}' already.", "Choose another id, or none.", "id")
    _refuse_above_next(strategy_id)


def _refuse_above_next(strategy_id: str) -> None:
    """All that are numbered by the platform come after the greatest: one far ahead would use the numbers up."""
    number = number_of(strategy_id, _PREFIX)
    if number is not None and number > (following := next_number(Strategy, _PREFIX)):
        raise BadStrategyIdError(
            f"{strategy_id!r} is ahead of the numbers that are given one after the other.",
            f"The next is {_PREFIX}{following:03d}; leave the id out to have it, or choose one of another form.",
            "id",
        )
