"""Merge requests: resolved by the latest or by hand, once, and on the head of now."""

from typing import Any

import pytest

from apps.portfolios.tests.factories import make_user
from apps.strategies.errors import (
    BadCodeError,
    BadResolutionError,
    HeadMovedError,
    NoMergeRequestError,
    ResolutionIncompleteError,
    SeveralMergeRequestsError,
    StrategyNotFoundError,
)
from apps.strategies.merge_requests import resolve_version_conflict
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion
from apps.strategies.tests.version_factories import (
    at_once,
    code_of,
    make_collision,
    make_conflict,
    make_strategy,
    make_version,
)
from apps.strategies.version_history import rebuild_version_history

pytestmark = pytest.mark.django_db

HEAD = {5: "line_5 = 'head'", 20: "line_20 = 'head'"}
BRANCH = {5: "line_5 = 'branch'", 40: "line_40 = 'branch'"}
BY_HAND = {**HEAD, **BRANCH, 5: "line_5 = 'by hand'"}


def head_of(strategy: Strategy) -> Any:
    return Strategy.objects.get(pk=strategy.pk).head


def test_latest_takes_the_posted_version_as_a_whole() -> None:
    strategy, request = make_collision()
    user = make_user("strategist")
    version = resolve_version_conflict(strategy.pk, "latest", user=user, message="Bob is right")
    assert (version.parent, version.merged_from, version.canonical) == (request.head, request.branch, True)
    assert version.code == code_of(BRANCH)
    assert (version.author, version.message) == (user.username, "Bob is right")
    request.refresh_from_db()
    assert (request.status, request.resolution, request.result) == ("resolved", "latest", version)
    assert request.resolved_by == user
    assert head_of(strategy) == version


def test_manual_takes_what_is_given() -> None:
    strategy, request = make_collision()
    version = resolve_version_conflict(strategy.pk, "manual", code=code_of(BY_HAND), parameters={"days": 5})
    assert (version.code, version.parameters) == (code_of(BY_HAND), {"days": 5})
    assert version.message == f"Conflict of {request.branch.hash[:12]} resolved: manual"
    request.refresh_from_db()
    assert (request.resolution, request.result) == ("manual", version)


def test_manual_takes_the_merged_parameters_where_they_merged() -> None:
    strategy = make_strategy()
    make_version(strategy)
    make_version(strategy, 1, {5: "x = 'head'"}, {"days": 60, "cap": 1})
    make_conflict(strategy, 1, {5: "x = 'branch'"}, parameters={"days": 90})
    version = resolve_version_conflict(strategy.pk, "manual", code=code_of({5: "x = 'both'"}))
    assert version.parameters == {"days": 90, "cap": 1}


def test_manual_takes_the_merged_code_where_it_merged() -> None:
    strategy = make_strategy()
    make_version(strategy)
    make_version(strategy, 1, {5: "x = 5"}, {"days": 61})
    make_conflict(strategy, 1, {40: "x = 40"}, parameters={"days": 62})
    version = resolve_version_conflict(strategy.pk, "manual", parameters={"days": 63})
    assert version.code == code_of({5: "x = 5", 40: "x = 40"})


def test_manual_without_what_collides_is_incomplete() -> None:
    strategy, request = make_collision()
    with pytest.raises(ResolutionIncompleteError, match=r"collides in 1 place\(s\) of the code") as caught:
        resolve_version_conflict(strategy.pk, "manual", parameters={"days": 1})
    assert caught.value.attr == "code"
    request.refresh_from_db()
    assert request.status == "open"


def test_resolving_twice_says_how_it_ended() -> None:
    strategy, request = make_collision()
    resolve_version_conflict(strategy.pk, "latest")
    with pytest.raises(NoMergeRequestError, match=rf"Merge request {request.pk} was resolved \(latest\) .* version 4"):
        resolve_version_conflict(strategy.pk, "latest", merge_request_id=request.pk)
    with pytest.raises(NoMergeRequestError, match=rf"no open merge request\. Merge request {request.pk} was resolved"):
        resolve_version_conflict(strategy.pk, "manual", code=code_of())
    assert StrategyVersion.objects.count() == 4


@pytest.mark.parametrize("merge_request_id", [-1, 0, 10**30])
def test_unknown_request_names_the_open_ones(merge_request_id: int) -> None:
    strategy, request = make_collision()
    with pytest.raises(NoMergeRequestError, match="has no merge request") as caught:
        resolve_version_conflict(strategy.pk, "latest", merge_request_id=merge_request_id)
    assert f"merge_request_id: {request.pk}." in caught.value.remedy


def test_request_of_another_strategy_is_unknown() -> None:
    _, request = make_collision()
    with pytest.raises(NoMergeRequestError):
        resolve_version_conflict(make_strategy().pk, "latest", merge_request_id=request.pk)
    with pytest.raises(StrategyNotFoundError):
        resolve_version_conflict("NOBODY", "latest", merge_request_id=request.pk)


def test_one_of_several_requests_has_to_be_named() -> None:
    strategy, first = make_collision()
    second = make_conflict(strategy, 1, {20: "line_20 = 'other'"})
    with pytest.raises(SeveralMergeRequestsError, match="2 open") as caught:
        resolve_version_conflict(strategy.pk, "latest")
    assert f"{first.pk}, {second.pk}." in caught.value.remedy
    version = resolve_version_conflict(strategy.pk, "latest", merge_request_id=second.pk)
    assert version.merged_from == second.branch


@pytest.mark.parametrize("resolution", ["newest", "", None, "LATEST"])
def test_other_resolutions_are_refused(resolution: Any) -> None:
    strategy, _ = make_collision()
    with pytest.raises(BadResolutionError, match="ends no conflict"):
        resolve_version_conflict(strategy.pk, resolution)


def test_latest_with_content_is_refused_as_it_would_be_ignored() -> None:
    strategy, _ = make_collision()
    with pytest.raises(BadResolutionError, match="code and parameters came with it"):
        resolve_version_conflict(strategy.pk, "latest", code="x = 1", parameters={})


def test_manual_content_is_checked_as_a_post_is() -> None:
    strategy, _ = make_collision()
    with pytest.raises(BadCodeError):
        resolve_version_conflict(strategy.pk, "manual", code="x = '\0'")


def test_answer_by_hand_is_merged_with_a_head_that_has_moved() -> None:
    strategy, request = make_collision()
    moved = make_version(strategy, 2, {**HEAD, 55: "line_55 = 'moved'"})
    version = resolve_version_conflict(strategy.pk, "manual", code=code_of(BY_HAND))
    assert version.code == code_of({**BY_HAND, 55: "line_55 = 'moved'"})
    assert (version.parent, version.merged_from) == (moved, request.branch)


def test_answer_by_hand_that_collides_with_the_moved_head_renews_the_request() -> None:
    strategy, request = make_collision()
    moved = make_version(strategy, 2, {**HEAD, 5: "line_5 = 'moved'"})
    with pytest.raises(HeadMovedError, match="Version 4 is the head now, no longer 2") as caught:
        resolve_version_conflict(strategy.pk, "manual", code=code_of(BY_HAND))
    assert f"Read merge request {request.pk} again" in caught.value.remedy
    request.refresh_from_db()
    assert (request.status, request.head, request.base.version) == ("open", moved, 1)
    assert request.hunks[0]["head"]["lines"] == ["line_5 = 'moved'\n"]
    assert head_of(strategy) == moved
    version = resolve_version_conflict(strategy.pk, "manual", code=code_of(BY_HAND))
    assert (version.code, version.parent) == (code_of(BY_HAND), moved)


def test_latest_holds_over_a_head_that_has_moved() -> None:
    strategy, _ = make_collision()
    moved = make_version(strategy, 2, {**HEAD, 55: "line_55 = 'moved'"})
    version = resolve_version_conflict(strategy.pk, "latest")
    assert (version.code, version.parent) == (code_of(BRANCH), moved)


def test_resolving_a_later_version_of_a_branch_ends_the_requests_before_it() -> None:
    strategy, first = make_collision()
    second = make_conflict(strategy, 3, {5: "line_5 = 'branch, again'"})
    third = make_conflict(strategy, 1, {20: "line_20 = 'other'"})
    version = resolve_version_conflict(strategy.pk, "latest", merge_request_id=second.pk)
    ended = MergeRequest.objects.filter(result=version).order_by("pk")
    assert [(each.pk, each.resolution) for each in ended] == [(first.pk, "manual"), (second.pk, "latest")]
    third.refresh_from_db()
    assert third.status == "open"


def test_same_post_after_the_resolution_answers_with_it() -> None:
    strategy, _ = make_collision()
    version = resolve_version_conflict(strategy.pk, "manual", code=code_of(BY_HAND))
    assert make_version(strategy, 1, BRANCH, author="bob") == version


@pytest.mark.django_db(transaction=True)
def test_one_of_ten_who_resolve_the_same_request_at_once_does() -> None:
    strategy, request = make_collision()
    answers = at_once(
        lambda number: resolve_version_conflict(strategy.pk, "manual", code=code_of({**BY_HAND, 9: f"x = {number}"})),
        10,
    )
    made = [answer for answer in answers if isinstance(answer, StrategyVersion)]
    assert [type(answer) for answer in answers if answer not in made] == [NoMergeRequestError] * 9
    request.refresh_from_db()
    assert request.result == made[0] == head_of(strategy)
    assert rebuild_version_history(strategy.pk)["valid"]
