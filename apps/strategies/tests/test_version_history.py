"""Histories that somebody changed behind the platform are found; numbers and marks are mended."""

from typing import Any

import pytest
from django.utils import timezone

from apps.portfolios.tests.factories import make_portfolio, make_user
from apps.strategies.errors import HistoryBrokenError, StrategyNotFoundError
from apps.strategies.hashing import hash_of
from apps.strategies.models import Deployment, Strategy, StrategyVersion
from apps.strategies.tests.api_factories import make_deployment, make_versions
from apps.strategies.tests.version_factories import (
    at_once,
    make_collision,
    make_strategy,
    make_version,
    without_triggers,
)
from apps.strategies.version_history import check_version, rebuild_version_history

pytestmark = pytest.mark.django_db

SOUND: dict[str, Any] = {"valid": True, "renumbered": [], "canonical_mended": [], "problems": []}


def make_history() -> Strategy:
    """1 ← 2 ← 5 is the main line; 1 ← 3 ← 4 was posted beside it and is merged into 5."""
    strategy, _ = make_collision()
    make_version(strategy, 3, {5: "line_5 = 'head'"}, author="bob")
    return strategy


def change(version: StrategyVersion, **columns: Any) -> None:
    with without_triggers():
        StrategyVersion.objects.filter(pk=version.pk).update(**columns)


def version_of(strategy: Strategy, number: int) -> StrategyVersion:
    return strategy.versions.get(version=number)


def codes(found: dict[str, Any]) -> list[tuple[Any, str]]:
    return [(problem["version"], problem["code"]) for problem in found["problems"]]


def test_history_that_nobody_touched_is_sound() -> None:
    strategy = make_history()
    found = rebuild_version_history(strategy.pk)
    assert found == {"strategy_id": strategy.pk, "versions": 5, **SOUND}
    for version in strategy.versions.all():
        check_version(version)


def test_strategy_without_versions_is_sound_and_an_unknown_one_is_not_found() -> None:
    strategy = make_strategy()
    assert rebuild_version_history(strategy.pk) == {"strategy_id": strategy.pk, "versions": 0, **SOUND}
    with pytest.raises(StrategyNotFoundError):
        rebuild_version_history("NOBODY")


@pytest.mark.parametrize("number", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "columns",
    [
        {"code": "def target_weights(prices, params): return {}\n"},
        {"parameters_text": '{"days":61}'},
        {"parameters_text": '{"days": 60}'},  # the same parameters in other characters
        {"author": "mallory"},
        {"message": "Approved"},
        {"hash": "0" * 64},
    ],
)
def test_changed_content_is_found(number: int, columns: dict[str, Any]) -> None:
    strategy = make_history()
    change(version_of(strategy, number), **columns)
    found = rebuild_version_history(strategy.pk)
    assert not found["valid"]
    assert (number, "hash_mismatch") in codes(found)
    # Without a new hash of its own the change shows in one place; with one, in all children too.
    assert len(found["problems"]) == 1 or "hash" in columns


@pytest.mark.parametrize("name", ["parent", "merged_from"])
def test_changed_parents_are_found(name: str) -> None:
    strategy = make_history()
    change(version_of(strategy, 5), **{name: version_of(strategy, 1)})
    found = rebuild_version_history(strategy.pk)
    assert (5, "hash_mismatch") in codes(found)


def test_parent_taken_away_makes_a_merge_an_ordinary_version() -> None:
    strategy = make_history()
    change(version_of(strategy, 5), merged_from=None)
    assert codes(rebuild_version_history(strategy.pk)) == [(5, "hash_mismatch")]


def test_circle_of_parents_is_found_and_ends() -> None:
    strategy = make_history()
    change(version_of(strategy, 2), parent=version_of(strategy, 5))
    found = rebuild_version_history(strategy.pk)
    assert {(2, "hash_mismatch"), (2, "parent_is_younger")} <= set(codes(found))
    with pytest.raises(HistoryBrokenError):
        check_version(version_of(strategy, 5))


def test_version_of_another_strategy_as_a_parent_is_found() -> None:
    strategy, other = make_history(), make_strategy()
    change(version_of(strategy, 2), parent=make_version(other))
    assert (2, "parent_foreign") in codes(rebuild_version_history(strategy.pk))


def test_version_moved_from_another_strategy_is_a_second_beginning() -> None:
    strategy, other = make_strategy(), make_strategy()
    make_version(strategy)
    moved = make_version(other, code="x = 1")
    make_version(other, 1, code="x = 2")
    with without_triggers() as cursor:
        cursor.execute("DROP INDEX strategy_version_one_first_version")
        StrategyVersion.objects.filter(pk=moved.pk).update(strategy=strategy, version=2)
    assert codes(rebuild_version_history(strategy.pk)) == [(None, "roots")]
    assert {"roots", "parent_foreign"} <= {code for _, code in codes(rebuild_version_history(other.pk))}


def test_changed_ancestor_stops_a_version_and_names_it() -> None:
    strategy = make_history()
    check_version(version_of(strategy, 5))
    change(version_of(strategy, 3), code="x = 1\n")  # beside the main line, and merged into 5 by way of 4
    for number in (3, 4, 5):
        with pytest.raises(HistoryBrokenError, match="Version 3 is named") as caught:
            check_version(version_of(strategy, number))
        assert "rebuild-history" in caught.value.remedy
    for number in (1, 2):
        check_version(version_of(strategy, number))


def test_numbers_follow_creation_without_gaps() -> None:
    strategy = make_history()
    names = list(strategy.versions.order_by("version").values_list("hash", flat=True))
    strategy.versions.filter(version=5).update(version=50)
    strategy.versions.filter(version=2).update(version=5)
    found = rebuild_version_history(strategy.pk)
    assert found["renumbered"] == [{"from": 5, "to": 2, "hash": names[1]}, {"from": 50, "to": 5, "hash": names[4]}]
    assert found["valid"]
    assert list(strategy.versions.order_by("version").values_list("hash", flat=True)) == names
    assert rebuild_version_history(strategy.pk)["renumbered"] == []
    assert make_version(strategy, 5, {9: "x = 9"}).version == 6


def test_numbers_that_change_places_are_put_back() -> None:
    strategy = make_history()
    one, other = version_of(strategy, 2), version_of(strategy, 4)
    strategy.versions.filter(pk=one.pk).update(version=4)
    strategy.versions.filter(pk=other.pk).update(version=2)
    rebuild_version_history(strategy.pk)
    assert (version_of(strategy, 2), version_of(strategy, 4)) == (one, other)


def test_marks_of_the_main_line_are_mended() -> None:
    strategy = make_history()
    strategy.versions.filter(version__in=[2, 3]).update(canonical=True)
    strategy.versions.filter(version=1).update(canonical=False)
    found = rebuild_version_history(strategy.pk)
    assert (found["canonical_mended"], found["valid"]) == ([1, 3], True)
    marks = dict(strategy.versions.values_list("version", "canonical"))
    assert marks == {1: True, 2: True, 3: False, 4: False, 5: True}


def test_head_that_was_put_back_is_found_and_nothing_is_mended_by_it() -> None:
    strategy = make_history()
    Strategy.objects.filter(pk=strategy.pk).update(head=version_of(strategy, 2))
    found = rebuild_version_history(strategy.pk)
    assert codes(found) == [(2, "head_behind")]
    assert found["canonical_mended"] == []


def test_head_that_is_gone_or_of_another_strategy_is_found() -> None:
    strategy = make_history()
    for head in (None, make_version(make_strategy())):
        Strategy.objects.filter(pk=strategy.pk).update(head=head)
        assert codes(rebuild_version_history(strategy.pk)) == [(None, "head_missing")]


def test_version_that_was_made_older_than_its_parent_is_found() -> None:
    strategy = make_history()
    head = version_of(strategy, 5)
    change(head, created_at=timezone.now().replace(year=2001))
    found = rebuild_version_history(strategy.pk)
    assert found["renumbered"][0] == {"from": 5, "to": 1, "hash": head.hash}
    assert {(1, "parent_is_younger"), (1, "merged_from_is_younger")} == set(codes(found))


def test_version_that_was_written_anew_with_all_its_hashes_shows_in_what_was_deployed() -> None:
    """Whoever changes every hash down the line leaves a sound chain: the deployment keeps the name that it had."""
    strategy = make_strategy()
    version = make_version(strategy)
    deployment = Deployment.objects.create(
        id="DEPLOY_1",
        strategy=strategy,
        version=version,
        version_hash=version.hash,
        portfolio=make_portfolio(),
        environment="paper",
        symbols=[],
        cost_bps=0,
    )
    assert rebuild_version_history(strategy.pk)["valid"]
    write_anew(version)
    assert codes(rebuild_version_history(strategy.pk)) == [(1, "deployment_hash")]
    assert deployment.pk in rebuild_version_history(strategy.pk)["problems"][0]["detail"]


def write_anew(version: StrategyVersion) -> None:
    version.code = "x = 1\n"
    change(version, code=version.code, hash=hash_of(version, None, None))


def test_deployments_on_hidden_portfolios_are_counted_and_not_named() -> None:
    (version,) = make_versions()
    make_deployment(version, make_portfolio("OURS", groups=["desk"]), "DEPLOY_001")
    for number in (2, 3):
        make_deployment(version, make_portfolio(f"BOOK_{number}", groups=["another desk"]), f"SECRET_{number}")
    write_anew(version)
    strategist, operator = make_user("strategist", groups=["desk"]), make_user("operator", groups=[])
    details = [problem["detail"] for problem in rebuild_version_history(version.strategy_id, strategist)["problems"]]
    assert [detail.split()[0] for detail in details] == ["DEPLOY_001", "2"]
    assert "SECRET" not in str(details)
    found = rebuild_version_history(version.strategy_id, operator)
    assert (codes(found), found["problems"][0]["detail"].split()[0]) == ([(None, "deployment_hash")], "3")
    assert len(rebuild_version_history(version.strategy_id)["problems"]) == 3


@pytest.mark.django_db(transaction=True)
def test_hashes_are_verified_while_others_post(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = make_strategy()
    make_version(strategy)
    posted: list[Any] = []

    def posts_meanwhile(*arguments: Any) -> str:
        if not posted:
            posted.extend(at_once(lambda _: make_version(strategy, 1, {9: "x = 9"}), 1))
        return hash_of(*arguments)

    monkeypatch.setattr("apps.strategies.version_history.hash_of", posts_meanwhile)
    found = rebuild_version_history(strategy.pk)
    assert [getattr(version, "version", version) for version in posted] == [2]
    assert (found["versions"], found["valid"]) == (1, True)
