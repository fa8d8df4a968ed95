"""Versions: posted, merged, refused, and found again when they are posted twice."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.portfolios.snapshots import canonical_json
from apps.portfolios.tests.factories import make_user
from apps.strategies import contents
from apps.strategies.errors import (
    BadAuthorError,
    BadCodeError,
    BadMessageError,
    BadParametersError,
    BadStrategyIdError,
    MergeConflictError,
    NothingChangedError,
    ParentNeededError,
    StrategyExistsError,
    StrategyNotFoundError,
    UnknownParentError,
    VersionNotFoundError,
)
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion
from apps.strategies.numbering import next_id, next_number
from apps.strategies.strategies import create_strategy
from apps.strategies.tests.version_factories import (
    at_once,
    code_of,
    make_collision,
    make_conflict,
    make_strategy,
    make_version,
)
from apps.strategies.versions import get_version, post_version

pytestmark = pytest.mark.django_db


def head_of(strategy: Strategy) -> StrategyVersion:
    head = Strategy.objects.select_related("head").get(pk=strategy.pk).head
    assert head is not None
    return head


def test_strategies_without_an_id_are_numbered() -> None:
    assert make_strategy().pk == "STRATEGY_001"
    make_strategy("STRATEGY_momentum")
    make_strategy("STRATEGY_002")
    assert create_strategy(name="Next").pk == "STRATEGY_003"


@pytest.mark.parametrize("digits", ["002", "999999999", "9" * 18, "9" * 55])
def test_id_ahead_of_the_next_number_is_refused(digits: str) -> None:
    with pytest.raises(BadStrategyIdError, match="is ahead of the numbers") as caught:
        make_strategy(f"STRATEGY_{digits}")
    assert caught.value.remedy.startswith("The next is STRATEGY_001;")
    assert make_strategy().pk == "STRATEGY_001"


def test_numbers_go_on_after_one_of_any_length() -> None:
    """As one that was taken before ids ahead of the next were refused."""
    for number in (999_999_999, 1_000_000_005):
        Strategy.objects.create(pk=f"STRATEGY_{number}", name="Far ahead")
        assert make_strategy().pk == f"STRATEGY_{number + 1}"


def test_next_number_reads_one_row() -> None:
    Strategy.objects.bulk_create(Strategy(pk=f"STRATEGY_{number:03d}", name="A") for number in range(1, 1_002))
    with CaptureQueriesContext(connection) as queries:
        assert next_number(Strategy, "STRATEGY_") == 1_002
    assert [query["sql"].startswith("SELECT MAX(") for query in queries] == [True]
    assert next_id(Strategy, "DEPLOY_") == "DEPLOY_001"


def test_strategy_with_a_known_id_is_refused() -> None:
    make_strategy("MOMENTUM")
    with pytest.raises(StrategyExistsError, match="'MOMENTUM' already"):
        make_strategy("MOMENTUM")


@pytest.mark.parametrize("strategy_id", ["", "a b", "../x", "x\0", "x" * 65])
def test_id_that_is_not_readable_is_refused(strategy_id: str) -> None:
    with pytest.raises(BadStrategyIdError, match="cannot be the id"):
        make_strategy(strategy_id)


@pytest.mark.django_db(transaction=True)
def test_strategies_created_at_once_have_ids_of_their_own() -> None:
    made = at_once(lambda _: make_strategy().pk, 8)
    assert sorted(made) == [f"STRATEGY_{number:03d}" for number in range(1, 9)]


def test_first_version_is_the_head_and_has_its_content_as_its_name() -> None:
    strategy = make_strategy()
    version = post_version(
        strategy.pk,
        parent_version=None,
        code="x = 1",
        parameters={"b": 1.5, "a": [True]},
        message="First",
        author="ann",
    )
    content = {
        "author": "ann",
        "code": "x = 1\n",
        "merged_from": None,
        "message": "First",
        "parameters": '{"a":[true],"b":1.5}',
        "parent": None,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert version.hash == hashlib.sha256(text.encode()).hexdigest()
    assert (version.version, version.canonical, version.parent) == (1, True, None)
    assert head_of(strategy) == version


def test_version_on_the_head_is_the_new_head() -> None:
    strategy = make_strategy()
    first = make_version(strategy)
    second = make_version(strategy, 1, {3: "line_3 = 'new'"})
    assert (second.version, second.parent, second.canonical) == (2, first, True)
    assert head_of(strategy) == second


def test_version_on_an_older_parent_is_kept_and_merged_with_the_head() -> None:
    strategy = make_strategy()
    make_version(strategy)
    head = make_version(strategy, 1, {3: "line_3 = 'head'"}, {"days": 60, "cap": 1})
    merge = make_version(strategy, 1, {30: "line_30 = 'branch'"}, {"days": 90}, author="bob", message="Longer")
    branch = get_version(strategy.pk, 3)
    assert (branch.canonical, branch.parent_id, branch.code) == (
        False,
        head.parent_id,
        code_of({30: "line_30 = 'branch'"}),
    )
    assert (merge.version, merge.canonical, merge.parent, merge.merged_from) == (4, True, head, branch)
    assert merge.code == code_of({3: "line_3 = 'head'", 30: "line_30 = 'branch'"})
    assert merge.parameters == {"days": 90, "cap": 1}
    assert (merge.author, merge.message) == ("bob", f"Merge of {branch.hash[:12]}: Longer")
    assert head_of(strategy) == merge


def test_version_that_collides_is_kept_with_a_merge_request() -> None:
    strategy, request = make_collision()
    assert (request.base.version, request.head.version, request.branch.version) == (1, 2, 3)
    assert [hunk["kind"] for hunk in request.hunks] == ["code"]
    assert request.hunks[0]["branch"] == {"start": 5, "lines": ["line_5 = 'branch'\n"]}
    assert not request.branch.canonical
    assert head_of(strategy) == request.head


def test_collision_says_which_versions_and_where_to_go() -> None:
    strategy = make_strategy()
    make_version(strategy)
    make_version(strategy, 1, parameters={"days": 61})
    with pytest.raises(MergeConflictError) as caught:
        make_version(strategy, 1, parameters={"days": 62})
    assert caught.value.detail == "Version 3 collides with version 2, which was posted before it, in 1 place."
    assert MergeRequest.objects.get().pk == caught.value.merge_request_id


def test_who_goes_on_from_a_merged_branch_does_not_collide_with_it() -> None:
    """Its base is the branch itself, which the head has: by the canonical parents alone it would be version 1."""
    strategy = make_strategy()
    make_version(strategy)
    make_version(strategy, 1, {3: "line_3 = 'head'"})
    make_version(strategy, 1, {30: "line_30 = 'branch'"})  # the branch is version 3, its merge 4
    merge = make_version(strategy, 3, {30: "line_30 = 'branch, again'"})
    assert merge.code == code_of({3: "line_3 = 'head'", 30: "line_30 = 'branch, again'"})


def test_who_goes_on_from_a_waiting_branch_and_clears_the_collision_ends_its_request() -> None:
    strategy, request = make_collision()
    merge = make_version(strategy, 3, {5: "line_5 = 'head'", 40: "line_40 = 'branch'"}, author="bob")
    request.refresh_from_db()
    assert merge.code == code_of({5: "line_5 = 'head'", 20: "line_20 = 'head'", 40: "line_40 = 'branch'"})
    assert (request.status, request.resolution, request.result) == ("resolved", "manual", merge)


def test_second_version_on_a_waiting_branch_waits_too() -> None:
    strategy, first = make_collision()
    second = make_conflict(strategy, 3, {5: "line_5 = 'branch, again'"})
    assert (second.base.version, second.branch.version) == (1, 4)
    first.refresh_from_db()
    assert first.status == "open"


def test_same_post_twice_is_one_version() -> None:
    strategy = make_strategy()
    first = make_version(strategy)
    second = make_version(strategy, 1, {3: "x = 3"})
    make_version(strategy, 2, {3: "x = 4"})
    assert make_version(strategy) == first
    assert make_version(strategy, 1, {3: "x = 3"}) == second
    assert StrategyVersion.objects.count() == 3


def test_same_post_twice_answers_with_the_merge() -> None:
    strategy = make_strategy()
    make_version(strategy)
    make_version(strategy, 1, {3: "x = 3"})
    merge = make_version(strategy, 1, {30: "x = 30"})
    make_version(strategy, 4, {50: "x = 50"})
    assert make_version(strategy, 1, {30: "x = 30"}) == merge
    assert StrategyVersion.objects.count() == 5


def test_same_post_twice_names_the_same_merge_request() -> None:
    strategy, request = make_collision()
    again = {5: "line_5 = 'branch'", 40: "line_40 = 'branch'"}
    assert make_conflict(strategy, 1, again, author="bob") == request
    assert StrategyVersion.objects.count() == 3


def test_same_change_by_another_author_is_a_version_of_its_own() -> None:
    strategy = make_strategy()
    make_version(strategy)
    head = make_version(strategy, 1, {3: "x = 3"})
    merge = make_version(strategy, 1, {3: "x = 3"}, author="bob")
    assert (merge.parent, merge.code) == (head, head.code)
    assert merge.merged_from is not None
    assert merge.merged_from.author == "bob"


def test_first_version_without_a_parent_and_only_that() -> None:
    strategy = make_strategy()
    make_version(strategy)
    with pytest.raises(ParentNeededError, match="none is given as the parent") as caught:
        make_version(strategy, None, {1: "x = 1"})
    assert "1 is the newest" in caught.value.remedy


@pytest.mark.parametrize("parent", [0, -1, 2, 2**31, 10**30])
def test_unknown_parent_is_refused(parent: int) -> None:
    strategy = make_strategy()
    make_version(strategy)
    with pytest.raises(UnknownParentError, match=f"has no version {parent}"):
        make_version(strategy, parent, {1: "x = 1"})


def test_parent_of_another_strategy_is_unknown() -> None:
    make_version(make_strategy())
    with pytest.raises(UnknownParentError, match="has no version 1") as caught:
        make_version(make_strategy(), 1)
    assert "null: it has none" in caught.value.remedy


def test_content_of_the_parent_is_no_version() -> None:
    strategy = make_strategy()
    make_version(strategy)
    with pytest.raises(NothingChangedError, match="those of version 1, the parent"):
        make_version(strategy, 1, author="bob", message="Other words")
    assert StrategyVersion.objects.count() == 1


def test_unknown_strategy_and_version_are_not_found() -> None:
    with pytest.raises(StrategyNotFoundError):
        post_version("NOBODY", parent_version=None, code="x = 1", parameters={})
    with pytest.raises(VersionNotFoundError):
        get_version(make_strategy().pk, 1)


def test_line_ends_are_brought_to_one_form() -> None:
    version = make_version(make_strategy(), code="a = 1\r\nb = 2\rc = '\u2028'")
    assert version.code == "a = 1\nb = 2\nc = '\u2028'\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\0", r"U\+0000 at character 6"),
        ("x = '\ud800'", r"U\+D800 at character 6"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("#" * contents.MAX_BYTES, "has 100,001 bytes"),
        ("ä" * 50_000, "has 100,001 bytes"),
    ],
)
def test_text_that_cannot_be_stored_as_code_is_refused(code: str, said: str) -> None:
    with pytest.raises(BadCodeError, match=said):
        make_version(make_strategy(), code=code)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"a": float("nan")}, "'a' is nan"),
        ({"a": [1, float("inf")]}, "'a.1' is inf"),
        ({"a": 2**63}, "whole number beyond 9223372036854775807"),
        ({"a": "\0"}, r"U\+0000"),
        ({"\ud800": 1}, r"U\+D800"),
        ({"a": {1: 2}}, "'a' is of the type dict"),
        ({"a": (1, 2)}, "'a' is of the type tuple"),
        ({"a": "x" * contents.MAX_BYTES}, "have more than 100,000 bytes"),
        ({"a": [1] * 100_000}, "have more than 100,000 bytes"),
        ({"a": "ä" * 20_000}, "have 120,008 bytes"),  # six a letter: \\u00e4
        ({"a": {"k" * 201: 1}}, "has 201 characters"),
        (nested(21), "nested deeper than 20"),
        (nested(100_000), "nested deeper than 20"),
        ([1], "are list"),
    ],
)
def test_parameters_that_are_no_json_object_are_refused(parameters: Any, said: str) -> None:
    with pytest.raises(BadParametersError, match=said):
        post_version(make_strategy().pk, parent_version=None, code="x = 1", parameters=parameters)


def test_parameters_as_deep_and_large_as_allowed_are_kept() -> None:
    parameters = {**nested(20), "seed": 2**63 - 1, "tiny": 5e-324, "none": None}
    assert make_version(make_strategy(), parameters=parameters).parameters == parameters


@pytest.mark.parametrize(
    "parameters",
    [{}, [], {"": ""}, {"a": [], "b": {}}, {"a": [1, True, None], "b": {"c": "", "d": {"e": 0.5}}}, {"a": [[], [{}]]}],
)
def test_least_size_of_parameters_is_never_above_their_size(parameters: Any) -> None:
    values = [value for _, value in contents._values(parameters)]
    assert sum(map(contents._least_bytes, values)) <= len(canonical_json(parameters))


def test_parameters_that_are_too_large_are_refused_before_all_of_them_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = []
    monkeypatch.setattr(contents, "_check_value", lambda path, value: looked_at.append(value))
    with pytest.raises(BadParametersError, match="more than 100,000 bytes"):
        contents.checked_parameters({"a": ["x" * 1_000] * 50_000, "b": 1})
    assert len(looked_at) < 150
    with pytest.raises(BadParametersError, match="more than 100,000 bytes"):
        contents.checked_parameters({"k" * 2_000_000: [1] * 50_000})
    assert len(looked_at) < 150


def test_longest_name_of_a_parameter_is_kept() -> None:
    parameters = {"k" * contents.MAX_NAME: 1}
    assert make_version(make_strategy(), parameters=parameters).parameters == parameters


def test_message_and_author_are_bounded() -> None:
    strategy = make_strategy()
    with pytest.raises(BadMessageError, match="1,001 characters"):
        make_version(strategy, message="x" * 1001)
    for author in ("", " a", "a <b>", "a\nb", "x" * 151):
        with pytest.raises(BadAuthorError, match="cannot be an author"):
            make_version(strategy, author=author)


def test_merge_of_the_longest_message_is_made() -> None:
    strategy = make_strategy()
    make_version(strategy)
    make_version(strategy, 1, {3: "x = 3"})
    assert len(make_version(strategy, 1, {30: "x = 30"}, message="x" * 1000).message) == 1000


def test_user_is_the_author() -> None:
    user = make_user("strategist")
    version = post_version(make_strategy().pk, parent_version=None, code="x = 1", parameters={}, user=user)
    assert (version.author, version.created_by) == (user.username, user)


def test_version_by_a_clock_that_is_behind_is_not_older_than_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = make_strategy()
    first = make_version(strategy)
    monkeypatch.setattr("apps.strategies.chain.timezone.now", lambda: first.created_at - timedelta(hours=1))
    assert make_version(strategy, 1, {3: "x = 3"}).created_at == first.created_at


@pytest.mark.parametrize("column", ["code", "parameters_text", "message", "author", "hash"])
def test_content_of_a_version_cannot_be_changed(column: str) -> None:
    version = make_version(make_strategy())
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        StrategyVersion.objects.filter(pk=version.pk).update(**{column: "other"})
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        StrategyVersion.objects.filter(pk=version.pk)._raw_delete("default")
