"""Fifty writers on one parent, each with a connection of its own: nobody's version is lost (issue 7, done when 2)."""

from typing import Any

import pytest

from apps.strategies.errors import MergeConflictError, NoMergeRequestError
from apps.strategies.merge_requests import resolve_version_conflict
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion
from apps.strategies.tests.version_factories import at_once, code_of, make_strategy, make_version
from apps.strategies.version_history import rebuild_version_history

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WRITERS = 50
LINES = 4 * WRITERS  # three lines between two writers'


def post_at_once(change_of: Any) -> tuple[Strategy, list[Any]]:
    strategy = make_strategy()
    make_version(strategy, code=code_of(lines=LINES))

    def post(number: int) -> StrategyVersion:
        code = code_of(change_of(number), LINES)
        return make_version(strategy, 1, code=code, author=f"writer-{number}")

    return strategy, at_once(post, WRITERS)


def own_line(number: int) -> dict[int, str]:
    return {4 * number + 2: f"own = {number}"}


def shared_line(number: int) -> dict[int, str]:
    return {2: f"shared = {number}"}


def check_nothing_is_lost(strategy: Strategy, change_of: Any) -> None:
    """Each writer's text is a version, which the main line has or a merge request waits with; the chain verifies."""
    for number in range(WRITERS):
        version = strategy.versions.get(author=f"writer-{number}", merged_from=None)
        assert version.code == code_of(change_of(number), LINES)
        ways = [version.canonical, version.merged_into.exists(), MergeRequest.objects.filter(branch=version).exists()]
        assert sum(ways) >= 1
        assert not (ways[0] and (ways[1] or ways[2]))
    found = rebuild_version_history(strategy.pk)
    assert (found["valid"], found["problems"], found["renumbered"], found["canonical_mended"]) == (True, [], [], [])


def main_line(strategy: Strategy) -> list[StrategyVersion]:
    version = Strategy.objects.get(pk=strategy.pk).head
    line = []
    while version is not None:
        line.append(version)
        version = version.parent
    return line


def test_fifty_changes_apart_are_all_merged() -> None:
    strategy, answers = post_at_once(own_line)
    assert all(isinstance(answer, StrategyVersion) for answer in answers)
    check_nothing_is_lost(strategy, own_line)
    # The first on the parent, and for each of the others itself and its merge.
    assert strategy.versions.count() == 1 + 1 + 2 * (WRITERS - 1)
    assert not MergeRequest.objects.exists()
    head, *_ = line = main_line(strategy)
    assert head.code == code_of(
        {key: text for number in range(WRITERS) for key, text in own_line(number).items()}, LINES
    )
    assert len(line) == WRITERS + 1
    assert strategy.versions.filter(canonical=True).count() == WRITERS + 1


def test_fifty_changes_of_one_line_are_one_head_and_forty_nine_requests() -> None:
    strategy, answers = post_at_once(shared_line)
    (head,) = [answer for answer in answers if isinstance(answer, StrategyVersion)]
    conflicts = [answer for answer in answers if isinstance(answer, MergeConflictError)]
    assert len({conflict.merge_request_id for conflict in conflicts}) == WRITERS - 1
    check_nothing_is_lost(strategy, shared_line)
    assert strategy.versions.count() == 1 + WRITERS
    assert set(MergeRequest.objects.values_list("head", "status")) == {(head.pk, "open")}
    assert main_line(strategy) == [head, strategy.versions.get(version=1)]


def some_of_both(number: int) -> dict[int, str]:
    """Every fifth changes the shared line."""
    return shared_line(number) if number % 5 == 0 else {4 * number + 2: f"own = {number}"}


def test_changes_apart_and_of_one_line_are_merged_or_wait() -> None:
    strategy, answers = post_at_once(some_of_both)
    conflicts = [answer for answer in answers if not isinstance(answer, StrategyVersion)]
    assert [type(conflict) for conflict in conflicts] == [MergeConflictError] * 9  # of ten, one is in
    check_nothing_is_lost(strategy, some_of_both)
    head, *_ = main_line(strategy)
    owned = [number for number in range(WRITERS) if number % 5]
    assert all(f"own = {number}\n" in head.code for number in owned)
    assert head.code.count("shared = ") == 1


def test_versions_and_resolutions_at_once_keep_every_version() -> None:
    """Half of the writers post on, while the requests of the others are resolved by two at a time."""
    strategy, answers = post_at_once(shared_line)
    requests = [answer.merge_request_id for answer in answers if isinstance(answer, MergeConflictError)]
    before = strategy.versions.count()

    def post_or_resolve(number: int) -> StrategyVersion:
        if number % 2:
            return make_version(strategy, 1, code=code_of({4 * number + 2: f"later = {number}"}, LINES), author="later")
        return resolve_version_conflict(strategy.pk, "latest", merge_request_id=requests[number // 4])

    done = at_once(post_or_resolve, WRITERS)
    refused = [answer for answer in done if isinstance(answer, Exception)]
    # 25 who resolve, two at 12 requests and one at the thirteenth: 13 of them do.
    assert [type(error) for error in refused] == [NoMergeRequestError] * 12
    assert MergeRequest.objects.filter(status="resolved", resolution="latest").count() == 13
    # A resolution makes one version, a merge two; no later line collides with what "latest" leaves.
    assert strategy.versions.count() == before + 13 + 2 * 25
    assert len(main_line(strategy)) == 2 + 13 + 25
    check_nothing_is_lost(strategy, shared_line)


def test_one_post_from_fifty_callers_is_one_version() -> None:
    strategy = make_strategy()
    first = make_version(strategy)
    make_version(strategy, 1, {3: "x = 3"})
    answers = at_once(lambda _: make_version(strategy, 1, {30: "x = 30"}), WRITERS)
    assert {answer.pk for answer in answers} == {Strategy.objects.get(pk=strategy.pk).head_id}
    assert strategy.versions.filter(parent=first).count() == 2
    assert strategy.versions.count() == 4
