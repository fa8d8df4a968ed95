"""Two sides of a strategy made one."""

from dataclasses import dataclass

from apps.strategies.contents import Content, checked_code, checked_parameters
from apps.strategies.errors import BadCodeError, BadParametersError
from apps.strategies.kernels.merging import Hunk, merge_lines, merge_parameters


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

    A result that could not be posted, as it is too large, is a hunk of all lines or of all parameters, with `detail`.
    """
    code, code_hunks = _merge_code(base, head, branch)
    text, parameter_hunks = _merge_parameters(base, head, branch)
    return MergedContent(code, text, [*code_hunks, *parameter_hunks])


def _merge_code(base: Content, head: Content, branch: Content) -> tuple[str | None, list[Hunk]]:
    lines, hunks = merge_lines(base.lines, head.lines, branch.lines)
    if lines is None:
        return None, hunks
    try:
        return checked_code("".join(lines)), []
    except BadCodeError as error:
        sides = {"base": base.lines, "head": head.lines, "branch": branch.lines}
        whole = {name: {"start": 1, "lines": side} for name, side in sides.items()}
        return None, [{"kind": "code", **whole, "detail": error.sentence}]


def _merge_parameters(base: Content, head: Content, branch: Content) -> tuple[str | None, list[Hunk]]:
    sides = {"base": base.parameters, "head": head.parameters, "branch": branch.parameters}
    parameters, hunks = merge_parameters(**sides)
    if parameters is None:
        return None, hunks
    try:
        return checked_parameters(parameters), []
    except BadParametersError as error:
        return None, [{"kind": "parameters", "path": [], **sides, "detail": error.sentence}]
