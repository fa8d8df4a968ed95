"""`snapshots.replay`: a stored figure computed again from its exact inputs, and compared bit for bit.

An app says what its kind of snapshot is computed by (`register_replay`); the inputs name the price version, whose
matrix is built again from rows that are only ever added to.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from apps.portfolios.access import visible_portfolios
from apps.portfolios.errors import NotReplayableError, SnapshotNotFoundError
from apps.portfolios.matrix import PriceMatrix, load_matrix
from apps.portfolios.models import Snapshot
from apps.portfolios.snapshots import canonical_json
from apps.tasks.execution import Job, Outcome
from apps.tasks.models import Task
from apps.tasks.submission import submit_task

KIND = "snapshots.replay"
DIFFERENCES_SHOWN = 20

Compute = Callable[[dict[str, Any], PriceMatrix], dict[str, Any]]

_computes: dict[str, Compute] = {}
_ID = re.compile(r"[0-9a-f]{64}\Z")
_NOT_THERE = object()


def register_replay(kind: str, compute: Compute) -> None:
    """`compute(inputs, matrix)` gives a snapshot's result from its inputs and their price version's matrix alone."""
    _computes[kind] = compute


def replayable_kinds() -> list[str]:
    return sorted(_computes)


def get_visible_snapshot(user: Any, snapshot_id: str) -> Snapshot:
    """Raises SnapshotNotFoundError, in the same words for one that is not there and one that is hidden."""
    found = Snapshot.objects.filter(pk=snapshot_id, portfolio__in=visible_portfolios(user))
    snapshot = found.first() if _ID.match(snapshot_id) else None
    if snapshot is None:
        raise SnapshotNotFoundError(snapshot_id)
    return snapshot


def submit_replay(snapshot: Snapshot, user: Any) -> Task:
    """Raises NotReplayableError."""
    _compute_of(snapshot)
    return submit_task(KIND, {"snapshot_id": snapshot.pk}, user=user, portfolio_id=snapshot.portfolio_id)


def run_replay(job: Job) -> Outcome:
    snapshot_id = job.task.inputs["snapshot_id"]
    snapshot = Snapshot.objects.filter(pk=snapshot_id, portfolio=job.task.portfolio_id).first()
    if snapshot is None:
        raise SnapshotNotFoundError(snapshot_id)
    job.progress(0, 1, snapshot.kind)
    result = replay(snapshot)
    event = {
        "event": "snapshot.replayed",
        "portfolio_id": snapshot.portfolio_id,
        "task_id": str(job.task.id),
        **{name: result[name] for name in ("snapshot_id", "kind", "reproduced", "max_abs_difference")},
    }
    return Outcome(result, events=[(f"portfolio:updates:{snapshot.portfolio_id}", event)])


def replay(snapshot: Snapshot) -> dict[str, Any]:
    """Computes the result again. Raises NotReplayableError, UnknownPriceVersionError, and what computing raises."""
    compute = _compute_of(snapshot)
    computed = compute(snapshot.inputs, load_matrix(_price_version_of(snapshot)))
    differences = list(differences_between(snapshot.result, as_stored(computed)))
    return {
        "snapshot_id": snapshot.pk,
        "kind": snapshot.kind,
        "price_version": _price_version_of(snapshot),
        "reproduced": not differences,
        "max_abs_difference": max((one.distance for one in differences), default=0.0),
        "differences_count": len(differences),
        "differences": [one.as_dict() for one in differences[:DIFFERENCES_SHOWN]],
    }


def _compute_of(snapshot: Snapshot) -> Compute:
    if snapshot.kind not in _computes:
        raise NotReplayableError(
            f"Snapshot {snapshot.pk[:12]} is of the kind '{snapshot.kind}', which cannot be computed again.",
            f"Kinds that can: {', '.join(replayable_kinds())}.",
        )
    return _computes[snapshot.kind]


def _price_version_of(snapshot: Snapshot) -> int:
    version = snapshot.inputs.get("price_version")
    if not isinstance(version, int):
        raise NotReplayableError(
            f"Snapshot {snapshot.pk[:12]} names no price version in its inputs: {version!r}.",
            "Compute the figure anew; its snapshot will name one.",
        )
    return version


def as_stored(result: dict[str, Any]) -> Any:
    """The result as a JSON column gives it back: numbers pass through PostgreSQL's numeric, where 1e22 is whole."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [canonical_json(result)])
        return json.loads(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Difference:
    """Two JSON values in one place; _NOT_THERE on a side that has nothing in it."""

    path: str
    stored: Any
    computed: Any

    @property
    def distance(self) -> float:
        """Between two numbers; 0.0 where one of the two is none."""
        both = (self.stored, self.computed)
        return float(abs(both[0] - both[1])) if all(type(one) in (int, float) for one in both) else 0.0

    def as_dict(self) -> dict[str, Any]:
        sides = {"stored": self.stored, "new": self.computed}
        return {"path": self.path, **{name: value for name, value in sides.items() if value is not _NOT_THERE}}


def differences_between(stored: Any, computed: Any, path: str = "") -> Iterator[Difference]:
    """The places where two JSON values differ, each by its path, as in `components[3].value`.

    Numbers are equal where they have the same type and the same shortest text: the same bits.
    """
    if isinstance(stored, dict) and isinstance(computed, dict):
        for key in sorted(stored.keys() | computed.keys()):
            place = f"{path}.{key}" if path else key
            yield from differences_between(stored.get(key, _NOT_THERE), computed.get(key, _NOT_THERE), place)
    elif isinstance(stored, list) and isinstance(computed, list):
        for row in range(max(len(stored), len(computed))):
            pair = [one[row] if row < len(one) else _NOT_THERE for one in (stored, computed)]
            yield from differences_between(pair[0], pair[1], f"{path}[{row}]")
    elif type(stored) is not type(computed) or repr(stored) != repr(computed):
        yield Difference(path, stored, computed)
