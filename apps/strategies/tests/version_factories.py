"""Small strategies with versions to go on from."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection

from apps.strategies.errors import MergeConflictError
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion
from apps.strategies.strategies import create_strategy
from apps.strategies.versions import post_version

LINES = 60


def code_of(changes: dict[int, str] | None = None, lines: int = LINES) -> str:
    """Numbered lines, `line_7 = 7`; `changes` has others by number."""
    changes = changes or {}
    return "".join(f"{changes.get(number, f'line_{number} = {number}')}\n" for number in range(1, lines + 1))


def make_strategy(strategy_id: str | None = None) -> Strategy:
    return create_strategy(name="A strategy", strategy_id=strategy_id)


def make_version(
    strategy: Strategy,
    parent: int | None = None,
    changes: dict[int, str] | None = None,
    parameters: dict[str, Any] | None = None,
    author: str = "alice",
    **fields: Any,
) -> StrategyVersion:
    """A post of `code_of(changes)`; a collision is raised."""
    fields.setdefault("code", code_of(changes))
    return post_version(
        strategy.pk,
        parent_version=parent,
        parameters={"days": 60} if parameters is None else parameters,
        author=author,
        **fields,
    )


def make_conflict(
    strategy: Strategy, parent: int, changes: dict[int, str] | None = None, **fields: Any
) -> MergeRequest:
    """A post that is expected to collide."""
    try:
        made = make_version(strategy, parent, changes, **fields)
    except MergeConflictError as conflict:
        return MergeRequest.objects.get(pk=conflict.merge_request_id)
    raise AssertionError(f"version {made.version} collided with nothing")


def make_collision() -> tuple[Strategy, MergeRequest]:
    """Version 1, the head 2 and the branch 3, which both changed line 5, and each a line of its own."""
    strategy = make_strategy()
    make_version(strategy)
    make_version(strategy, 1, {5: "line_5 = 'head'", 20: "line_20 = 'head'"})
    return strategy, make_conflict(strategy, 1, {5: "line_5 = 'branch'", 40: "line_40 = 'branch'"}, author="bob")


def at_once(function: Callable[[int], Any], count: int) -> list[Any]:
    """The answers of as many threads, each with a connection of its own; an error is an answer."""

    def closing(number: int) -> Any:
        try:
            return function(number)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(closing, range(count)))


@contextmanager
def without_triggers() -> Any:
    """As somebody who owns the database could write."""
    with connection.cursor() as cursor:
        # A table with checks that wait for the transaction's end cannot be altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE strategy_versions DISABLE TRIGGER USER")
        yield cursor
        cursor.execute("ALTER TABLE strategy_versions ENABLE TRIGGER USER; SET CONSTRAINTS ALL DEFERRED")
