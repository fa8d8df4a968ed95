"""A stored figure computed again: what counts as the same, what differs is found by its path, who may ask."""

import math
from typing import Any

import pytest

from apps.portfolios import replays
from apps.portfolios.errors import NoPricesError, NotReplayableError, SnapshotNotFoundError, UnknownPriceVersionError
from apps.portfolios.matrix import PriceMatrix
from apps.portfolios.models import Snapshot
from apps.portfolios.replays import (
    as_stored,
    differences_between,
    get_visible_snapshot,
    register_replay,
    replay,
    replayable_kinds,
    run_replay,
    submit_replay,
)
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.portfolios.tests.factories import make_portfolio, make_prices, make_user
from apps.tasks.execution import execute, take
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task

KIND = "tests.last_close"


def last_close(inputs: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """A kind of the tests' own: what one symbol is worth at the newest close of its price version."""
    close = float(matrix.column(inputs["symbol"])[-1])
    return {"value": close * inputs["quantity"], "rows": [{"symbol": inputs["symbol"], "close": close}], "warnings": []}


@pytest.fixture(autouse=True)
def _own_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "_computes", {**replays._computes})
    register_replay(KIND, last_close)


def make_snapshot(
    result: dict[str, Any] | None = None, kind: str = KIND, portfolio_id: str | None = None, **inputs: Any
) -> Snapshot:
    """Stored, and read back from the database; AAA closes at 14. Without a `result` it is the true one."""
    portfolio_id = portfolio_id or make_portfolio().id
    inputs = {"portfolio_id": portfolio_id, "symbol": "AAA", "quantity": 3, **inputs}
    inputs.setdefault("price_version", make_prices().price_version)
    true = {"value": 42.0, "rows": [{"symbol": "AAA", "close": 14.0}], "warnings": []}
    keep_snapshot(kind, portfolio_id, inputs, true if result is None else result)
    return Snapshot.objects.get(pk=snapshot_id(kind, inputs))


def found(stored: Any, computed: Any) -> list[dict[str, Any]]:
    return [difference.as_dict() for difference in differences_between(stored, computed)]


# --- what is different, and where


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 0.1, 1e22, 5e-324, "text", "", [], {}, {"a": [{"b": [1, 2.5, None]}]}]
)
def test_value_does_not_differ_from_itself(value: Any) -> None:
    assert found(value, value) == []


def test_difference_deep_inside_is_named_by_its_path() -> None:
    stored = {"components": [{"value": 1.0}, {"value": 2.0, "parts": {"es": [3.0, 4.0]}}]}
    computed = {"components": [{"value": 1.0}, {"value": 2.5, "parts": {"es": [3.0, 4.5]}}]}
    assert found(stored, computed) == [
        {"path": "components[1].parts.es[1]", "stored": 4.0, "new": 4.5},
        {"path": "components[1].value", "stored": 2.0, "new": 2.5},
    ]


def test_list_in_a_list_is_named_by_both_places() -> None:
    assert found([[1, 2], [3, 4]], [[1, 2], [3, 5]]) == [{"path": "[1][1]", "stored": 4, "new": 5}]


def test_last_bit_of_a_float_is_a_difference() -> None:
    assert found(0.3, 0.1 + 0.2) == [{"path": "", "stored": 0.3, "new": 0.30000000000000004}]
    assert len(found({"var": 1e6}, {"var": math.nextafter(1e6, 0)})) == 1


def test_minus_zero_is_not_zero() -> None:
    assert len(found({"var": 0.0}, {"var": -0.0})) == 1


@pytest.mark.parametrize(
    ("stored", "computed"), [(1, 1.0), (1, True), (0, False), (0, None), ("1", 1), ([], {}), ({}, None), ("", None)]
)
def test_equal_values_of_other_types_differ(stored: Any, computed: Any) -> None:
    assert len(found({"x": stored}, {"x": computed})) == 1
    assert len(found({"x": computed}, {"x": stored})) == 1


def test_key_on_one_side_only_shows_that_side_alone() -> None:
    assert found({"a": 1, "b": None}, {"a": 1}) == [{"path": "b", "stored": None}]
    assert found({"a": 1}, {"a": 1, "b": {"c": 2}}) == [{"path": "b", "new": {"c": 2}}]


def test_lists_of_other_lengths_differ_where_one_has_ended() -> None:
    assert found({"x": [1, 2]}, {"x": [1, 3, 4]}) == [
        {"path": "x[1]", "stored": 2, "new": 3},
        {"path": "x[2]", "new": 4},
    ]
    assert found({"x": [1]}, {"x": []}) == [{"path": "x[0]", "stored": 1}]


def test_distance_is_that_of_two_numbers_and_zero_of_anything_else() -> None:
    pairs = [(1.5, -2.0), (3, 1.0), (True, 2.0), ("a", "b"), (None, 5.0)]
    distances = [difference.distance for pair in pairs for difference in differences_between(*pair)]
    assert distances == [3.5, 2.0, 0.0, 0.0, 0.0]


# --- a result as the database gives it back


@pytest.mark.django_db
def test_result_passes_through_the_database_as_a_stored_one_does() -> None:
    result = {"large": 1e22, "small": 5e-324, "third": 1 / 3, "whole": 2.0, "zero": -0.0, "rows": [{"a": None}, True]}
    snapshot = make_snapshot(result)
    assert found(as_stored(result), snapshot.result) == []
    # jsonb keeps numbers as numeric: 1e22 comes back whole, and minus zero without its sign.
    assert repr(as_stored({"large": 1e22, "zero": -0.0, "two": 2.0})) == repr(
        {"two": 2.0, "zero": 0.0, "large": 10**22}
    )


@pytest.mark.django_db
def test_large_whole_float_is_reproduced() -> None:
    snapshot = make_snapshot(
        {"value": 14e22, "rows": [{"symbol": "AAA", "close": 14.0}], "warnings": []}, quantity=1e22
    )
    assert replay(snapshot)["reproduced"] is True


@pytest.mark.django_db
def test_result_with_a_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        as_stored({"var": math.nan})


# --- replays


@pytest.mark.django_db
def test_replay_of_an_unchanged_figure_reproduces_it() -> None:
    snapshot = make_snapshot()
    assert replay(snapshot) == {
        "snapshot_id": snapshot.pk,
        "kind": KIND,
        "price_version": snapshot.inputs["price_version"],
        "reproduced": True,
        "max_abs_difference": 0.0,
        "differences_count": 0,
        "differences": [],
    }


@pytest.mark.django_db
def test_replay_uses_the_prices_of_the_snapshots_version() -> None:
    snapshot = make_snapshot()
    make_prices({"AAA": [1.0, 2.0, 3.0, 4.0, 5.0]}, source="a correction")
    assert replay(snapshot)["reproduced"] is True


@pytest.mark.django_db
def test_changed_stored_result_is_found_with_its_path_and_distance() -> None:
    snapshot = make_snapshot({"value": 42.0, "rows": [{"symbol": "AAA", "close": 13.25}], "warnings": ["old"]})
    result = replay(snapshot)
    assert (result["reproduced"], result["max_abs_difference"], result["differences_count"]) == (False, 0.75, 2)
    assert result["differences"] == [
        {"path": "rows[0].close", "stored": 13.25, "new": 14.0},
        {"path": "warnings[0]", "stored": "old"},
    ]


@pytest.mark.django_db
def test_last_bit_that_was_changed_in_the_database_is_found() -> None:
    snapshot = make_snapshot()
    Snapshot.objects.update(result={**snapshot.result, "value": math.nextafter(42.0, 43)})
    result = replay(Snapshot.objects.get())
    assert result["reproduced"] is False
    assert result["max_abs_difference"] == math.ulp(42.0)
    assert result["differences"] == [{"path": "value", "stored": 42.00000000000001, "new": 42.0}]


@pytest.mark.django_db
def test_text_that_differs_is_no_reproduction_though_no_number_is_off() -> None:
    result = replay(make_snapshot({"value": 42.0, "rows": [{"symbol": "BBB", "close": 14.0}], "warnings": []}))
    assert (result["reproduced"], result["max_abs_difference"], result["differences_count"]) == (False, 0.0, 1)


@pytest.mark.django_db
def test_many_differences_are_counted_and_the_first_twenty_shown() -> None:
    result = replay(make_snapshot({"value": 42.0, "rows": [], "warnings": ["old"] * 50}))
    assert result["differences_count"] == 51
    assert [one["path"] for one in result["differences"]] == ["rows[0]", *(f"warnings[{n}]" for n in range(19))]


@pytest.mark.django_db
def test_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(NotReplayableError, match=r"of the kind 'tests\.unheard_of'") as refusal:
        replay(make_snapshot(kind="tests.unheard_of"))
    assert (refusal.value.code, refusal.value.status) == ("not_replayable", 409)
    assert KIND in refusal.value.remedy


@pytest.mark.django_db
@pytest.mark.parametrize("version", [None, "1", 1.0])
def test_inputs_without_a_price_version_are_refused(version: Any) -> None:
    with pytest.raises(NotReplayableError, match=f"names no price version in its inputs: {version!r}"):
        replay(make_snapshot(price_version=version))


@pytest.mark.django_db
def test_unknown_price_version_is_refused_by_its_number() -> None:
    with pytest.raises(UnknownPriceVersionError, match="no price version 999999"):
        replay(make_snapshot(price_version=999_999))


@pytest.mark.django_db
def test_version_of_before_all_prices_is_refused() -> None:
    with pytest.raises(NoPricesError):
        replay(make_snapshot(price_version=0))


def test_registered_kind_is_replayable_and_the_later_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    register_replay("tests.another", lambda inputs, matrix: {"n": 1})
    register_replay("tests.another", lambda inputs, matrix: {"n": 2})
    assert replayable_kinds().count("tests.another") == 1
    assert replays._computes["tests.another"]({}, None) == {"n": 2}  # type: ignore[arg-type]


def test_every_kind_that_keeps_snapshots_can_be_replayed() -> None:
    kinds = {"calculate_portfolio_performance", "risk.analyze", "risk.backtest", "risk.compare", "risk.stress"}
    assert kinds <= set(replayable_kinds())


# --- the task


@pytest.mark.django_db
def test_submitted_replay_is_a_task_of_the_snapshots_portfolio() -> None:
    snapshot, user = make_snapshot(), make_user()
    task = submit_replay(snapshot, user)
    assert (task.kind, task.inputs) == ("snapshots.replay", {"snapshot_id": snapshot.pk})
    assert (task.portfolio_id, task.created_by) == (snapshot.portfolio_id, user)


@pytest.mark.django_db
def test_unknown_kind_is_refused_before_anything_is_queued() -> None:
    with pytest.raises(NotReplayableError):
        submit_replay(make_snapshot(kind="tests.unheard_of"), make_user())
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_task_ends_with_what_the_replay_found() -> None:
    snapshot = make_snapshot()
    task = make_task("snapshots.replay", {"snapshot_id": snapshot.pk}, portfolio_id=snapshot.portfolio_id)
    execute(take(str(task.pk), "w1"), run_replay)
    task.refresh_from_db()
    assert (task.status, task.result) == ("succeeded", replay(snapshot))


@pytest.mark.django_db
def test_task_of_another_portfolio_does_not_reach_the_snapshot() -> None:
    snapshot = make_snapshot()
    task = make_task("snapshots.replay", {"snapshot_id": snapshot.pk}, portfolio_id=make_portfolio().id)
    execute(take(str(task.pk), "w1"), run_replay)
    task.refresh_from_db()
    assert (task.status, task.error["code"]) == ("failed", "not_found")


# --- who may see it


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "groups", "sees"),
    [
        ("viewer", ["desk"], True),
        ("trader", ["desk"], True),
        ("risk_manager", [], True),
        ("admin", [], True),
        ("trader", ["other"], False),
        ("operator", ["desk"], False),
        (None, ["desk"], False),
    ],
)
def test_snapshot_is_seen_by_who_sees_its_portfolio(role: str | None, groups: list[str], sees: bool) -> None:
    snapshot, user = make_snapshot(), make_user(role, groups)
    if sees:
        assert get_visible_snapshot(user, snapshot.pk) == snapshot
    else:
        with pytest.raises(SnapshotNotFoundError):
            get_visible_snapshot(user, snapshot.pk)


@pytest.mark.django_db
def test_hidden_unknown_and_impossible_ids_are_told_in_the_same_words() -> None:
    snapshot, user = make_snapshot(), make_user("viewer", ["other"])
    told = []
    for name in (snapshot.pk, "0" * 64, snapshot.pk.upper(), snapshot.pk[:63], f"{snapshot.pk}\n", "\0", "", "g" * 64):
        with pytest.raises(SnapshotNotFoundError) as refusal:
            get_visible_snapshot(user, name)
        told.append((refusal.value.detail.replace(f"'{name}'", "…"), refusal.value.remedy, refusal.value.status))
    assert set(told) == {
        ("There is no snapshot … that you may see.", "A result names its own in snapshot_id, 64 hex digits.", 404)
    }


@pytest.mark.django_db
@pytest.mark.parametrize("change", [str.upper, lambda name: name[:63], lambda name: name + "\n", lambda name: "\0"])
def test_id_that_is_no_hex_is_not_found_even_by_who_sees_all(change: Any) -> None:
    snapshot = make_snapshot()
    with pytest.raises(SnapshotNotFoundError):
        get_visible_snapshot(make_user("admin", []), change(snapshot.pk))
