from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User

from apps.realtime.access import may_subscribe, register_topic


@pytest.fixture
def someone() -> User:
    return User(username="someone")


def test_words_are_open_to_everybody_who_has_signed_in(someone: User) -> None:
    assert may_subscribe(someone, "news")
    assert may_subscribe(someone, "system:health")
    assert not may_subscribe(AnonymousUser(), "news")
    assert not may_subscribe(User(username="gone", is_active=False), "news")


def test_prefix_without_a_rule_is_refused(someone: User) -> None:
    assert not may_subscribe(someone, "nobody:owns:this")
    assert not may_subscribe(someone, "system:secrets")
    assert not may_subscribe(someone, "system:*")


def test_rule_decides_on_what_follows_the_prefix(someone: User, rule: Callable[[str, Any], None]) -> None:
    rule("test-risk:alerts", lambda user, name: name == "P1")
    assert may_subscribe(someone, "test-risk:alerts:P1")
    assert not may_subscribe(someone, "test-risk:alerts:P2")
    assert not may_subscribe(someone, "test-risk:alerts:*")


def test_pattern_needs_the_rules_word_for_the_whole_of_it(someone: User, rule: Callable[[str, Any], None]) -> None:
    rule("test-risk:alerts", lambda user, name: True)
    assert may_subscribe(someone, "test-risk:alerts:*")
    assert not may_subscribe(someone, "test-risk:al*")
    assert not may_subscribe(someone, "test-risk:alerts*")
    assert not may_subscribe(someone, "test-risk:*")


def test_longest_prefix_wins(someone: User, rule: Callable[[str, Any], None]) -> None:
    rule("test-a", lambda user, name: True)
    rule("test-a:b", lambda user, name: False)
    assert may_subscribe(someone, "test-a:c")
    assert not may_subscribe(someone, "test-a:b:c")


def test_prefix_belongs_to_one_app(rule: Callable[[str, Any], None]) -> None:
    rule("test-owned", lambda user, name: True)
    with pytest.raises(ValueError, match="have a rule already"):
        register_topic("test-owned:", lambda user, name: False)
