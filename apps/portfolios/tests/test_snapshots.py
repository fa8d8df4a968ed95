"""Equal inputs have equal names."""

import pytest

from apps.portfolios.models import Snapshot
from apps.portfolios.snapshots import keep_snapshot, snapshot_id
from apps.portfolios.tests.factories import make_portfolio


def test_order_of_keys_does_not_change_the_name() -> None:
    assert snapshot_id("k", {"a": 1, "b": [0.1, None]}) == snapshot_id("k", {"b": [0.1, None], "a": 1})


@pytest.mark.parametrize(("kind", "inputs"), [("k", {"a": 2}), ("j", {"a": 1}), ("k", {"a": "1"}), ("k", {})])
def test_anything_else_changes_it(kind: str, inputs: dict) -> None:
    assert snapshot_id(kind, inputs) != snapshot_id("k", {"a": 1})


def test_name_is_for_ever() -> None:
    # Computed once with hashlib over '{"inputs":{"a":0.1},"kind":"k"}': a change would orphan what is stored.
    assert snapshot_id("k", {"a": 0.1}) == NAME


NAME = "fef9a87dd5a35c81678b93352838b84dff56c506d32768ea5c41dda14a6609c5"


def test_nan_has_no_name() -> None:
    with pytest.raises(ValueError, match="JSON"):
        snapshot_id("k", {"a": float("nan")})


@pytest.mark.django_db
def test_snapshot_is_kept_once_with_its_first_result() -> None:
    portfolio = make_portfolio()
    inputs = {"portfolio_id": portfolio.id, "x": 0.1}
    keep_snapshot("k", portfolio.id, inputs, {"var": 1.0})
    keep_snapshot("k", portfolio.id, inputs, {"var": 2.0})
    kept = Snapshot.objects.get()
    assert (kept.pk, kept.result) == (snapshot_id("k", inputs), {"var": 1.0})


@pytest.mark.django_db
def test_inputs_of_another_portfolio_are_refused() -> None:
    portfolio = make_portfolio()
    with pytest.raises(ValueError, match="expected"):
        keep_snapshot("k", portfolio.id, {"portfolio_id": "OTHER"}, {})
