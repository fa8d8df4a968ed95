"""Which lines of two texts are the same ones, by patience diff: anchored on the lines that occur once on both sides.

Bram Cohen's algorithm, as in Bazaar, for which merge3 takes its matcher. Blank lines and `return` anchor nothing, so
that two functions are not woven into each other. The time is bounded for any text, O(n log n) a level: a merge runs
while the strategy's row is held, and difflib can be made to take 13 s over 10,000 short lines, this 4 ms.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher
from typing import Any, NamedTuple

_MAX_DEPTH = 32  # of anchors between anchors; below it, lines that are the same count as changed


class _Region(NamedTuple):
    a_start: int
    a_end: int
    b_start: int
    b_end: int
    depth: int


class LineMatcher(SequenceMatcher[str]):
    """difflib's SequenceMatcher, with its opcodes and groups, over blocks that patience finds."""

    def __init__(
        self, isjunk: Any = None, a: Sequence[str] = (), b: Sequence[str] = (), autojunk: bool = False
    ) -> None:
        super().__init__(None, a, b, autojunk=False)
        self._sides = a, b

    def get_matching_blocks(self) -> list[Match]:
        """As SequenceMatcher's own, which its opcodes and groups are made of."""
        return matching_blocks(*self._sides)


def matching_blocks(a: Sequence[str], b: Sequence[str]) -> list[Match]:
    """Blocks (i, j, n) with a[i:i+n] == b[j:j+n], rising in both, none touching the next; the last is empty."""
    blocks: list[Match] = []
    for i, j in sorted(_pairs(a, b)):
        last = blocks[-1] if blocks else Match(-1, -1, 0)
        if (i, j) == (last.a + last.size, last.b + last.size) and blocks:
            blocks[-1] = Match(last.a, last.b, last.size + 1)
        else:
            blocks.append(Match(i, j, 1))
    return [*blocks, Match(len(a), len(b), 0)]


def _pairs(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[int, int]]:
    regions = [_Region(0, len(a), 0, len(b), 0)]
    while regions:
        region = regions.pop()
        head, tail = _same_ends(a, b, region)
        yield from ((region.a_start + k, region.b_start + k) for k in range(head))
        yield from ((region.a_end - k, region.b_end - k) for k in range(1, tail + 1))
        inner = _Region(
            region.a_start + head, region.a_end - tail, region.b_start + head, region.b_end - tail, region.depth + 1
        )
        anchors = _anchors(a, b, inner) if inner.depth <= _MAX_DEPTH else []
        yield from anchors
        regions += _between(anchors, inner)


def _same_ends(a: Sequence[str], b: Sequence[str], region: _Region) -> tuple[int, int]:
    """How many lines are the same at the region's start, and of the others at its end."""
    shorter = min(region.a_end - region.a_start, region.b_end - region.b_start)
    head = 0
    while head < shorter and a[region.a_start + head] == b[region.b_start + head]:
        head += 1
    tail = 0
    while tail < shorter - head and a[region.a_end - tail - 1] == b[region.b_end - tail - 1]:
        tail += 1
    return head, tail


def _anchors(a: Sequence[str], b: Sequence[str], region: _Region) -> list[tuple[int, int]]:
    """The longest rising run of pairs of lines that occur once on each side."""
    once_in_a = _once(a, region.a_start, region.a_end)
    once_in_b = _once(b, region.b_start, region.b_end)
    return _longest_rising([(i, once_in_b[line]) for line, i in once_in_a.items() if line in once_in_b])


def _once(lines: Sequence[str], start: int, end: int) -> dict[str, int]:
    """Place by line, in the order of the lines."""
    places: dict[str, int] = {}
    repeated = set()
    for place in range(start, end):
        if lines[place] in places:
            repeated.add(lines[place])
        places[lines[place]] = place
    return {line: place for line, place in places.items() if line not in repeated}


def _longest_rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run that rises in both, of pairs that rise in the first (Schensted 1961)."""
    ends: list[int] = []  # the lowest second of the runs of length k + 1
    last: list[int] = []  # which pair has it
    before: list[int | None] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(last[length - 1] if length else None)
        ends[length : length + 1] = [place]
        last[length : length + 1] = [number]
    run = []
    number_or_none = last[-1] if last else None
    while number_or_none is not None:
        run.append(pairs[number_or_none])
        number_or_none = before[number_or_none]
    return run[::-1]


def _between(anchors: list[tuple[int, int]], region: _Region) -> list[_Region]:
    """What lies before, between and behind the anchors, where both sides have lines there; nothing without anchors."""
    if not anchors:
        return []
    starts = [(region.a_start, region.b_start), *((i + 1, j + 1) for i, j in anchors)]
    ends = [*anchors, (region.a_end, region.b_end)]
    gaps = [_Region(i, k, j, n, region.depth) for (i, j), (k, n) in zip(starts, ends, strict=True)]
    return [gap for gap in gaps if gap.a_start < gap.a_end and gap.b_start < gap.b_end]
