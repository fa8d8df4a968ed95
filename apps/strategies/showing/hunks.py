"""What both sides of a merge changed, as its page shows it: base, head and branch beside each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.strategies.showing.comparison import as_json

NO_KEY = "no such key"


@dataclass(frozen=True, slots=True)
class Side:
    """Lines with their numbers; a parameter's value has none."""

    name: str
    lines: Sequence[tuple[int | None, str]]


@dataclass(frozen=True, slots=True)
class ShownHunk:
    title: str
    sides: Sequence[Side]


def shown_hunks(hunks: Iterable[dict[str, Any]]) -> list[ShownHunk]:
    return [_of_code(hunk) if hunk["kind"] == "code" else _of_parameters(hunk) for hunk in hunks]


def _of_code(hunk: dict[str, Any]) -> ShownHunk:
    sides = [Side(name, _numbered(**hunk[name])) for name in ("base", "head", "branch")]
    return ShownHunk(f"Code, from line {hunk['head']['start']} of the head", sides)


def _numbered(start: int, lines: Sequence[str]) -> list[tuple[int | None, str]]:
    return [(number, line.rstrip("\n")) for number, line in enumerate(lines, start)]


def _of_parameters(hunk: dict[str, Any]) -> ShownHunk:
    sides = [
        Side(name, [(None, as_json(hunk[name]) if name in hunk else NO_KEY)]) for name in ("base", "head", "branch")
    ]
    return ShownHunk(f"Parameter {'.'.join(hunk['path'])}", sides)
