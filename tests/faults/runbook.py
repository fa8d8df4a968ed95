"""docs/runbook.md as its tests read it: sections by their anchors, and commands by the block that they stand in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from nautilus.local.home import ROOT

RUNBOOK = ROOT / "docs" / "runbook.md"
KINDS = ("", "compose", "elsewhere")
_ANCHOR = re.compile(r'^<a id="(?P<key>[a-z-]+)"></a>$')
_FENCE = re.compile(r"^ *```(?P<info>.*)$")


@dataclass(frozen=True, slots=True)
class Command:
    """`section` is an anchor, "start" before the first; `kind` what stands behind `sh` in the block's head."""

    section: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: str
    text: str


def sections_of_the_runbook() -> list[Section]:
    lines = RUNBOOK.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if _ANCHOR.match(line)]
    return [_section(lines[start:]) for start in starts]


def _section(lines: list[str]) -> Section:
    anchor, title, *rest = lines
    body = takewhile(lambda line: not _ANCHOR.match(line) and not line.startswith("## "), rest)
    return Section(_ANCHOR.sub(r"\g<key>", anchor), title.removeprefix("### "), "\n".join(body))


def commands_of_the_runbook() -> list[Command]:
    """Each once, where it stands first; a comment above it says what it shows."""
    found: dict[tuple[str, str], Command] = {}
    for command in _all_commands():
        found.setdefault((command.kind, command.text), command)
    return list(found.values())


def _all_commands() -> Iterator[Command]:
    section, kind = "start", None
    for line in RUNBOOK.read_text().splitlines():
        if anchor := _ANCHOR.match(line):
            section = anchor["key"]
        elif fence := _FENCE.match(line):
            kind = _kind(fence["info"]) if kind is None else None
        elif kind in KINDS and line.strip() and not line.strip().startswith("#"):
            yield Command(section, kind, line.strip())


def _kind(info: str) -> str:
    """Blocks of another language have no commands in them: their kind is their name."""
    language, _, kind = info.strip().partition(" ")
    return kind.strip() if language == "sh" else f"language {language}"
