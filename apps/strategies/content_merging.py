"""Two sides of a strategy made one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.strategies.contents import Content, checked_code, checked_parameters
from apps.strategies.errors import BadCodeError, BadParametersError
from apps.strategies.kernels.merging import Hunk, merge_lines, merge_parameters

# More than anybody reads one by one. Each hunk of a parameter has its whole path, which may be 20 names of 200
# characters: 100 kB of parameters could make 60 MB of hunks.
MAX_HUNKS = 500
MAX_PATHS = 1_000_000  # characters, of all hunks together


@dataclass(frozen=True, slots=True)
class MergedContent:
    """`code` or `parameters_text` is None where that collides; the hunks say where. Both are there without hunks."""

    code: str | None
    parameters_text: str | None
    hunks: list[Hunk]

    @property
    def content(self) -> Content | None:
        if self.code is None or self.parameters_text is None:
            return None
        return Content(self.code, self.parameters_text)


def merge_contents(base: Content, head: Content, branch: Content) -> MergedContent:
    """Three-way: code by lines, parameters by keys.

    A result that could not be posted, as it is too large, is a hunk of all lines or of all parameters, with `detail`;
    so are more than MAX_HUNKS hunks, or paths of more than MAX_PATHS characters.
    """
    code, code_hunks = _merge_code(base, head, branch)
    text, parameter_hunks = _merge_parameters(base, head, branch)
    return MergedContent(code, text, [*code_hunks, *parameter_hunks])


def _merge_code(base: Content, head: Content, branch: Content) -> tuple[str | None, list[Hunk]]:
    sides = {"base": base.lines, "head": head.lines, "branch": branch.lines}
    whole = {"kind": "code", **{name: {"start": 1, "lines": side} for name, side in sides.items()}}
    lines, hunks = merge_lines(*sides.values())
    if lines is None:
        return None, _bounded(hunks, whole)
    try:
        return checked_code("".join(lines)), []
    except BadCodeError as error:
        return None, [{**whole, "detail": error.sentence}]


def _merge_parameters(base: Content, head: Content, branch: Content) -> tuple[str | None, list[Hunk]]:
    sides = {"base": base.parameters, "head": head.parameters, "branch": branch.parameters}
    whole = {"kind": "parameters", "path": [], **sides}
    parameters, hunks = merge_parameters(**sides)
    if parameters is None:
        return None, _bounded(hunks, whole)
    try:
        return checked_parameters(parameters), []
    except BadParametersError as error:
        return None, [{**whole, "detail": error.sentence}]


def _bounded(hunks: Sequence[Hunk], whole: dict[str, Any]) -> list[Hunk]:
    """The hunks, or where they are too many or too large the whole as one."""
    paths = sum(len(key) for hunk in hunks for key in hunk.get("path", []))
    if len(hunks) <= MAX_HUNKS and paths <= MAX_PATHS:
        return list(hunks)
    return [{**whole, "detail": f"Both sides collide in {len(hunks):,} places: they are shown as one."}]
