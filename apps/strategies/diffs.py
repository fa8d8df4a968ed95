"""What differs between two versions: as text for clients, side by side for the admin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from typing import Any

from apps.strategies.contents import lines_of
from apps.strategies.kernels.matching import LineMatcher
from apps.strategies.kernels.merging import is_same
from apps.strategies.models import StrategyVersion

_CONTEXT_LINES = 3
MAX_NAMES = 1_000_000  # characters, of all names in a diff of parameters together


@dataclass(frozen=True, slots=True)
class Row:
    """A line of each side beside the other; a side that has none there has None and "". Numbers are from 1.

    `kind`: equal, changed (both sides have a line), added (only the right has one), removed (only the left).
    """

    kind: str
    left_number: int | None
    left_text: str
    right_number: int | None
    right_text: str


def diff_versions(from_version: StrategyVersion, to_version: StrategyVersion) -> dict[str, Any]:
    """{"strategy_id", "from", "to", "code": a unified diff, "" for the same code, "parameters": diff_parameters}."""
    return {
        "strategy_id": to_version.strategy_id,
        "from": from_version.version,
        "to": to_version.version,
        "code": _unified(from_version, to_version),
        "parameters": diff_parameters(from_version.parameters, to_version.parameters),
    }


def _unified(from_version: StrategyVersion, to_version: StrategyVersion) -> str:
    """As `diff -u` writes it, which `patch` takes."""
    left, right = lines_of(from_version.code), lines_of(to_version.code)
    groups = list(LineMatcher(None, left, right).get_grouped_opcodes(_CONTEXT_LINES)) if left != right else []
    names = [f"--- strategy.py version {from_version.version}\n", f"+++ strategy.py version {to_version.version}\n"]
    hunks = [line for group in groups for line in _unified_hunk(left, right, group)]
    return "".join([*names, *hunks]) if hunks else ""


def _unified_hunk(
    left: Sequence[str], right: Sequence[str], group: Sequence[tuple[str, int, int, int, int]]
) -> Iterator[str]:
    (_, left_start, _, right_start, _), (_, _, left_end, _, right_end) = group[0], group[-1]
    yield f"@@ -{_range(left_start, left_end)} +{_range(right_start, right_end)} @@\n"
    for kind, i, j, k, n in group:
        if kind == "equal":
            yield from (f" {line}" for line in left[i:j])
        else:
            yield from (f"-{line}" for line in left[i:j])
            yield from (f"+{line}" for line in right[k:n])


def _range(start: int, end: int) -> str:
    """The first line's number and how many; without lines the number of the line before (POSIX, diff -u)."""
    return f"{start + 1 if end > start else start},{end - start}"


def side_by_side(from_version: StrategyVersion, to_version: StrategyVersion) -> list[Row]:
    """Every line of both."""
    left, right = from_version.code.split("\n")[:-1], to_version.code.split("\n")[:-1]
    opcodes = LineMatcher(None, left, right).get_opcodes()
    return [row for _, i, j, k, n in opcodes for row in _rows(left, range(i, j), right, range(k, n))]


def _rows(left: Sequence[str], left_places: range, right: Sequence[str], right_places: range) -> Iterator[Row]:
    for i, k in zip_longest(left_places, right_places):
        left_text, right_text = "" if i is None else left[i], "" if k is None else right[k]
        yield Row(
            _kind(i, left_text, k, right_text),
            None if i is None else i + 1,
            left_text,
            None if k is None else k + 1,
            right_text,
        )


def _kind(i: int | None, left_text: str, k: int | None, right_text: str) -> str:
    if i is None or k is None:
        return "added" if i is None else "removed"
    return "equal" if left_text == right_text else "changed"


def diff_parameters(left: dict[str, Any], right: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """{"added": {name: value}, "removed": {name: value}, "changed": {name: {"from", "to"}}}.

    A parameter inside of an object that both have is named by its keys with dots between, as `risk.cap`; a dot that is
    part of a key is written `\\.`. Where such names would take more than MAX_NAMES characters together, each object
    is one value.
    """
    names = (len(name) for _, name, _ in _differences("", left, right, inside=True))
    inside = all(characters <= MAX_NAMES for characters in accumulate(names))
    diff: dict[str, dict[str, Any]] = {"added": {}, "removed": {}, "changed": {}}
    for kind, name, value in _differences("", left, right, inside=inside):
        diff[kind][name] = value
    return diff


def _differences(
    prefix: str, left: dict[str, Any], right: dict[str, Any], *, inside: bool
) -> Iterator[tuple[str, str, Any]]:
    """(added, removed or changed, name, value); `inside` goes into objects that both sides have."""
    for key in sorted({*left, *right}):
        name = prefix + key.replace("\\", "\\\\").replace(".", "\\.")
        if key not in left:
            yield "added", name, right[key]
        elif key not in right:
            yield "removed", name, left[key]
        elif inside and isinstance(left[key], dict) and isinstance(right[key], dict):
            yield from _differences(f"{name}.", left[key], right[key], inside=inside)
        elif not is_same(left[key], right[key]):
            yield "changed", name, {"from": left[key], "to": right[key]}
