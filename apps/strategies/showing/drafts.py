"""What somebody who merges by hand starts from: what merges cleanly, and marks around what does not."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from merge3 import Merge3

from apps.strategies.contents import lines_of
from apps.strategies.kernels.matching import LineMatcher
from apps.strategies.kernels.merging import merge_parameters

# Git's, so that editors know them. A line of "=======" alone may be a heading in a docstring: it is not looked for.
HEAD_MARK, BASE_MARK, MIDDLE, BRANCH_MARK = "<<<<<<< head", "||||||| base", "=======", ">>>>>>> branch"
_MARKS = (HEAD_MARK, BASE_MARK, BRANCH_MARK)

Parameters = dict[str, Any]


def draft_code(base: str, head: str, branch: str) -> str:
    matcher: Any = LineMatcher
    sides = Merge3(lines_of(base), lines_of(head), lines_of(branch), sequence_matcher=matcher)
    merged = sides.merge_lines(start_marker=HEAD_MARK, base_marker=BASE_MARK, mid_marker=MIDDLE, end_marker=BRANCH_MARK)
    return "".join(merged)


def marked_lines(code: str) -> list[int]:
    """The numbers, from 1, of lines that still are marks."""
    return [number for number, line in enumerate(code.splitlines(), 1) if line in _MARKS]


def draft_parameters(base: Parameters, head: Parameters, branch: Parameters) -> Parameters:
    """As they merge; a key of which both sides made something else has a text that names both."""
    ours, theirs = deepcopy(head), deepcopy(branch)
    for hunk in merge_parameters(base, head, branch).hunks:
        for side in (ours, theirs):
            _set(side, hunk["path"], _both(hunk))
    return merge_parameters(base, ours, theirs).parameters or {}


def _both(hunk: dict[str, Any]) -> str:
    sides = ((HEAD_MARK, "head"), (BASE_MARK, "base"), (BRANCH_MARK, "branch"))
    return " ".join(f"{mark}: {json.dumps(hunk[side]) if side in hunk else 'no such key'}" for mark, side in sides)


def _set(parameters: Parameters, path: list[str], value: Any) -> None:
    for key in path[:-1]:
        parameters = parameters[key]
    parameters[path[-1]] = value


def marked_keys(parameters: Any, path: str = "") -> Iterator[str]:
    """The paths of values that still are marks."""
    for key, value in parameters.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from marked_keys(value, here)
        elif isinstance(value, str) and value.startswith(HEAD_MARK):
            yield here
