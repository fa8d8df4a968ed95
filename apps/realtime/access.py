"""Who may subscribe to which topic: the app that owns a prefix registers its rule, in its `AppConfig.ready`.

    register_topic("risk:alerts", lambda user, portfolio_id: may_read_portfolio(user, portfolio_id))

Nothing is open by default: a topic with a `:` whose prefix nobody registered is refused. Plain words are
broadcasts, for everybody who has signed in.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model

# The rule gets the user and what follows the prefix; for a pattern that ends in `*` (`risk:alerts:*` gives `*`).
# It answers a pattern with True only where the user may read every topic the pattern could ever match.
Rule = Callable[[Any, str], bool]

_rules: dict[str, Rule] = {}


def register_topic(prefix: str, may_read: Rule) -> None:
    """Lets those read `prefix:…` whom the rule allows. Rules run in a thread and may query the database."""
    prefix = prefix.rstrip(":")
    if _rules.get(prefix, may_read) is not may_read:
        raise ValueError(f"The topics '{prefix}:…' have a rule already; each prefix belongs to one app.")
    _rules[prefix] = may_read


def may_subscribe(user: Any, topic: str) -> bool:
    """Whether the user may read every message of the topic or pattern."""
    if not user.is_authenticated or not user.is_active:
        return False
    if ":" not in topic:
        return True
    prefix = _longest_prefix(topic)
    return prefix is not None and bool(_rules[prefix](user, topic[len(prefix) + 1 :]))


def may_user_subscribe(user_id: int, topic: str) -> bool:
    """`may_subscribe` of the user as he is now: a socket lives for days, and a user object keeps the roles it had."""
    user = get_user_model().objects.filter(pk=user_id).first()
    return user is not None and may_subscribe(user, topic)


def is_owned(topic: str) -> bool:
    """Whether an app publishes here, and nobody else may."""
    return _longest_prefix(topic) is not None


def _longest_prefix(topic: str) -> str | None:
    return max((prefix for prefix in _rules if topic.startswith(f"{prefix}:")), key=len, default=None)


register_topic("system", lambda user, name: name == "health")
