"""Strategies: named, described, and empty until their first version."""

import re
from typing import Any

from django.db import connection, transaction

from apps.portfolios.models import readable_id
from apps.portfolios.names import is_portfolio_id
from apps.strategies.errors import BadStrategyIdError, StrategyExistsError
from apps.strategies.models import Strategy

_NUMBERED = re.compile(r"STRATEGY_([0-9]{1,9})")

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
    return Strategy.objects.create(id=strategy_id or _next_id(), name=name, description=description, created_by=user)


def _refuse_id(strategy_id: str) -> None:
    if not is_portfolio_id(strategy_id):
        raise BadStrategyIdError(
            f"{strategy_id[:100]!r} cannot be the id of a strategy.", f"Here is {readable_id.message}.", "id"
        )
    if Strategy.objects.filter(pk=strategy_id).exists():
        raise StrategyExistsError(f"There is a strategy '{strategy_id}' already.", "Choose another id, or none.", "id")


def _next_id() -> str:
    taken = Strategy.objects.filter(id__startswith="STRATEGY_").values_list("id", flat=True)
    numbers = [int(match[1]) for match in map(_NUMBERED.fullmatch, taken) if match]
    return f"STRATEGY_{max(numbers, default=0) + 1:03d}"
