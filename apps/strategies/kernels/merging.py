"""Three-way merges: lines by merge3, parameters key by key. What both sides changed differently is a hunk.

`head` is the main line's side, `branch` the side that was posted, `base` their nearest ancestor.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from merge3 import Merge3

from apps.strategies.kernels.matching import LineMatcher

Hunk = dict[str, Any]

_MISSING: Any = object()


class MergedLines(NamedTuple):
    """`lines` are None where there are hunks."""

    lines: list[str] | None
    hunks: list[Hunk]


class MergedParameters(NamedTuple):
    """`parameters` are None where there are hunks."""

    parameters: dict[str, Any] | None
    hunks: list[Hunk]


def merge_lines(base: Sequence[str], head: Sequence[str], branch: Sequence[str]) -> MergedLines:
    """Lines changed on one side, or alike on both, hold. Changes of lines that touch collide, as in Git.

    A hunk is {"kind": "code", "base", "head", "branch"}, each {"start": the first line's number from 1, "lines"};
    where a side has no lines, `start` is the line before which they would stand.
    """
    merged: list[str] = []
    hunks: list[Hunk] = []
    matcher: Any = LineMatcher
    for region in Merge3(base, head, branch, sequence_matcher=matcher).merge_regions():
        if region[0] == "conflict":
            hunks.append(_line_hunk(base, head, branch, region))
        else:
            source = {"unchanged": base, "same": head, "a": head, "b": branch}[region[0]]
            merged += source[region[1] : region[2]]
    return MergedLines(None if hunks else merged, hunks)


def _line_hunk(
    base: Sequence[str],
    head: Sequence[str],
    branch: Sequence[str],
    region: tuple[Literal["conflict"], int, int, int, int, int, int],
) -> Hunk:
    sides = {"base": (base, *region[1:3]), "head": (head, *region[3:5]), "branch": (branch, *region[5:7])}
    shown = {name: {"start": start + 1, "lines": list(lines[start:end])} for name, (lines, start, end) in sides.items()}
    return {"kind": "code", **shown}


def merge_parameters(base: dict[str, Any], head: dict[str, Any], branch: dict[str, Any]) -> MergedParameters:
    """Key by key, and in an object that both sides keep again key by key; a list is one value.

    1, 1.0 and true are three values. A hunk is {"kind": "parameters", "path": [key, …], "base", "head", "branch"}; a
    side that has no such key is left out of it.
    """
    hunks: list[Hunk] = []
    merged = _merge_objects([], base, head, branch, hunks)
    return MergedParameters(None if hunks else merged, hunks)


def _merge_objects(
    path: list[str], base: dict[str, Any], head: dict[str, Any], branch: dict[str, Any], hunks: list[Hunk]
) -> dict[str, Any]:
    merged = {}
    for key in sorted({*base, *head, *branch}):
        sides = (base.get(key, _MISSING), head.get(key, _MISSING), branch.get(key, _MISSING))
        value = _merge_values([*path, key], sides, hunks)
        if value is not _MISSING:
            merged[key] = value
    return merged


def _merge_values(path: list[str], sides: tuple[Any, Any, Any], hunks: list[Hunk]) -> Any:
    base, head, branch = sides
    if is_same(head, branch) or is_same(branch, base):
        return head
    if is_same(head, base):
        return branch
    if isinstance(head, dict) and isinstance(branch, dict) and (base is _MISSING or isinstance(base, dict)):
        return _merge_objects(path, {} if base is _MISSING else base, head, branch, hunks)
    named = zip(("base", "head", "branch"), sides, strict=True)
    hunks.append({"kind": "parameters", "path": path, **{k: v for k, v in named if v is not _MISSING}})
    return head


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are one JSON text: Python's == takes 1 for true."""
    if one is _MISSING or other is _MISSING:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
