"""Who may submit a kind of task: said by the app that owns the kind, asked again at each retry."""

from collections.abc import Callable
from typing import Any

from rest_framework.exceptions import PermissionDenied

Rule = Callable[[Any, str | None], None]

_rules: dict[str, Rule] = {}
_of_books: set[str] = set()


def register_kind(kind: str, rule: Rule) -> None:
    """`rule(user, portfolio_id)` raises where the user may not submit this kind, as the kind's own endpoint would."""
    _rules[kind] = rule


def tells_of_books(*kinds: str) -> None:
    """Kinds whose tasks name no portfolio and tell of many: who reads no book does not see them."""
    _of_books.update(kinds)


def kinds_of_books() -> frozenset[str]:
    return frozenset(_of_books)


def known_kinds() -> list[str]:
    """All that an app has said something of: what one may look for in the list of tasks."""
    return sorted(_rules.keys() | _of_books)


def check_may_submit(user: Any, kind: str, portfolio_id: str | None) -> None:
    """Raises PermissionDenied, or what the kind's rule raises. A kind without a rule is refused."""
    if kind not in _rules:
        raise PermissionDenied(f"Tasks of the kind '{kind}' cannot be submitted again by hand.")
    _rules[kind](user, portfolio_id)
