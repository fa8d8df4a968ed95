"""docs/runbook.md, a section at a time: text and commands. As much of Markdown as that document uses, and no more."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from apps.operations.sections import SECTIONS

DOCUMENT = Path(__file__).parents[3] / "docs" / "runbook.md"

_ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')
_FENCE = re.compile(r"^ *```(.*)$")
_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(#([\w-]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """`kind` is "text", "item" or "code"; of code `where` says what it needs: "compose", "elsewhere", or nothing."""

    kind: str
    html: SafeString
    where: str = ""


def read_section(section: str) -> list[Block]:
    """Empty where the document is not there, as in an image that was built without it."""
    if not DOCUMENT.exists():
        return []
    return list(_blocks(_lines_of(DOCUMENT.read_text(), section)))


def _lines_of(document: str, section: str) -> list[str]:
    """Between the section's anchor and what follows it, without its heading."""
    lines: list[str] = []
    is_inside = False
    for line in document.splitlines():
        if anchor := _ANCHOR.match(line):
            is_inside = anchor[1] == section
        elif line.startswith("## "):
            is_inside = False
        elif is_inside and not line.startswith("### "):
            lines.append(line)
    return lines


def _blocks(lines: list[str]) -> Iterator[Block]:
    written: list[str] = []
    fence: str | None = None
    for line in [*lines, ""]:
        if found := _FENCE.match(line):
            yield from _code(written, fence) if fence is not None else _text(written)
            written, fence = [], found[1] if fence is None else None
        elif fence is None and (not line.strip() or line.startswith("- ")):
            yield from _text(written)
            written = [line] if line.strip() else []
        else:
            written.append(line)


def _code(lines: list[str], fence: str) -> Iterator[Block]:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    text = "\n".join(line[indent:] for line in lines)
    yield Block("code", escape(text), fence.partition(" ")[2])


def _text(lines: list[str]) -> Iterator[Block]:
    if not lines:
        return
    text = " ".join(line.strip() for line in lines)
    if text.startswith("- "):
        yield Block("item", _inline(text[2:]))
    else:
        yield Block("text", _inline(text))


def _inline(text: str) -> SafeString:
    parts, place = [], 0
    for found in _INLINE.finditer(text):
        parts += [escape(text[place : found.start()]), _marked(*found.groups())]
        place = found.end()
    parts.append(escape(text[place:]))
    return mark_safe("".join(parts))  # noqa: S308 (each part is escaped)


def _marked(code: str | None, bold: str | None, link: str | None, anchor: str | None) -> str:
    if code is not None:
        return f"<code>{escape(code)}</code>"
    if bold is not None:
        return f"<strong>{escape(bold)}</strong>"
    if anchor in SECTIONS:
        return f'<a href="{escape(reverse("dashboard:runbook", args=[anchor]))}">{escape(link or "")}</a>'
    return str(escape(link or ""))
