"""Two versions of a strategy against each other: their code beside each other, their parameters as a table."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString

from apps.strategies.diffs import Row, diff_parameters, side_by_side
from apps.strategies.kernels.merging import is_same
from apps.strategies.models import StrategyVersion
from apps.strategies.showing.marking import marked_words

CONTEXT_LINES = 3
EQUAL, CHANGED, ADDED, REMOVED = "equal", "changed", "added", "removed"


@dataclass(frozen=True, slots=True)
class Line:
    """One row: what is on its left and on its right, as HTML; a side without a line has no number.

    `folded` is how many equal lines it stands for: such a row has nothing else.
    """

    kind: str
    left_number: int | None = None
    left: SafeString | str = ""
    right_number: int | None = None
    right: SafeString | str = ""
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Comparison:
    lines: Sequence[Line]
    parameters: Sequence[Parameter]
    lines_differ: bool
    parameters_differ: bool


def compare(left: StrategyVersion, right: StrategyVersion, *, whole: bool = False) -> Comparison:
    """Without `whole` equal lines are folded, but for some around each difference."""
    lines = [_line(row) for row in side_by_side(left, right)]
    parameters = compare_parameters(left.parameters, right.parameters)
    return Comparison(
        lines if whole else list(folded(lines)),
        parameters,
        any(line.kind != EQUAL for line in lines),
        any(parameter.kind != EQUAL for parameter in parameters),
    )


def _line(row: Row) -> Line:
    texts = (row.left_text, row.right_text)
    left, right = marked_words(*texts) if row.kind == CHANGED else map(escape, texts)
    return Line(row.kind, row.left_number, left, row.right_number, right)


def folded(lines: Sequence[Line]) -> Iterator[Line]:
    """Equal lines further than CONTEXT_LINES from a difference become one row that counts them."""
    near = _near_a_difference(lines)
    for is_near, run in groupby(range(len(lines)), key=near.__contains__):
        places = list(run)
        if is_near or len(places) == 1:
            yield from (lines[place] for place in places)
        else:
            yield Line(EQUAL, folded=len(places))


def _near_a_difference(lines: Sequence[Line]) -> set[int]:
    different = (place for place, line in enumerate(lines) if line.kind != EQUAL)
    return {near for place in different for near in range(place - CONTEXT_LINES, place + CONTEXT_LINES + 1)}


def compare_parameters(left: dict[str, Any], right: dict[str, Any]) -> list[Parameter]:
    """All of both sides, by name; what differs inside of an object has its keys with dots between."""
    diff = diff_parameters(left, right)
    shown = [Parameter(name, ADDED, "", as_json(value)) for name, value in diff["added"].items()]
    shown += [Parameter(name, REMOVED, as_json(value), "") for name, value in diff["removed"].items()]
    shown += [
        Parameter(name, CHANGED, as_json(sides["from"]), as_json(sides["to"]))
        for name, sides in diff["changed"].items()
    ]
    same = {name: as_json(left[name]) for name in {*left} & {*right} if is_same(left[name], right[name])}
    shown += [Parameter(name, EQUAL, text, text) for name, text in same.items()]
    return sorted(shown, key=lambda parameter: parameter.name)


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
