"""The versions of a strategy as a graph, a row for each, the newest first: its node, and the lines that pass it.

A lane is a column of lines. Lane 0 is the main line; each other belongs to a version beside it until the line comes to
the version that it was made on. A row is drawn on its own, as high as its words need: a line's height is in percent of
it, 0 at the top.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from apps.strategies.ancestry import Node

LANE_WIDTH = 18
MOST_LANES = 8  # further ones are drawn on the last
TOP, MIDDLE, BOTTOM = 0, 50, 100


@dataclass(frozen=True, slots=True)
class Line:
    """From one lane and height to another; `colour` is a lane, that of the two which is beside the main line."""

    from_lane: int
    from_height: int
    to_lane: int
    to_height: int

    @property
    def x1(self) -> int:
        return place_of(self.from_lane)

    @property
    def x2(self) -> int:
        return place_of(self.to_lane)

    @property
    def colour(self) -> int:
        return max(drawn_lane(self.from_lane), drawn_lane(self.to_lane))


@dataclass(frozen=True, slots=True)
class GraphRow:
    lane: int
    lines: tuple[Line, ...]

    @property
    def x(self) -> int:
        return place_of(self.lane)

    @property
    def colour(self) -> int:
        return drawn_lane(self.lane)


@dataclass(frozen=True, slots=True)
class Graph:
    """`rows` by the version's key; all are `width` wide."""

    rows: dict[int, GraphRow]
    width: int


def drawn_lane(lane: int) -> int:
    return min(lane, MOST_LANES - 1)


def place_of(lane: int) -> int:
    """Its middle, in pixels from the left."""
    return LANE_WIDTH // 2 + LANE_WIDTH * drawn_lane(lane)


def version_graph(nodes: Iterable[Node]) -> Graph:
    newest_first = sorted(nodes, key=lambda node: node.version, reverse=True)
    lanes = _Lanes(newest_first)
    rows = {node.id: lanes.row_of(node) for node in newest_first}
    return Graph(rows, LANE_WIDTH * min(max(len(lanes.leads_to), 1), MOST_LANES))


class _Lanes:
    """`leads_to` has for each lane the version that its line goes down to, None where it is free."""

    def __init__(self, newest_first: list[Node]) -> None:
        self._places = {node.id: place for place, node in enumerate(newest_first)}
        self.leads_to: list[int | None] = [None]

    def row_of(self, node: Node) -> GraphRow:
        coming = [lane for lane, goal in enumerate(self.leads_to) if goal == node.id]
        passing = [lane for lane, goal in enumerate(self.leads_to) if goal not in (None, node.id)]
        for lane in coming:
            self.leads_to[lane] = None
        own = 0 if node.canonical else min((lane for lane in coming if lane), default=self._free())
        self._make(own)
        lines = [Line(lane, TOP, own, MIDDLE) for lane in coming]
        lines += [Line(lane, TOP, lane, BOTTOM) for lane in passing]
        lines += [Line(own, MIDDLE, lane, BOTTOM) for lane in self._leaving(node, own)]
        return GraphRow(own, tuple(lines))

    def _leaving(self, node: Node, own: int) -> list[int]:
        """The lanes by which the row is left: to the parent, and to what a merge took in."""
        left = [self._lane_to(node.parent_id, node, own), self._lane_to(node.merged_from_id, node, None)]
        return [lane for lane in left if lane is not None]

    def _lane_to(self, goal: int | None, node: Node, preferred: int | None) -> int | None:
        """None where there is nothing below to go to: the first version, or a history that is broken."""
        if goal is None or self._places.get(goal, -1) <= self._places[node.id]:
            return None
        lane = self._joined(goal, preferred)
        self._make(lane)
        self.leads_to[lane] = goal
        return lane

    def _joined(self, goal: int, preferred: int | None) -> int:
        """The main line keeps its lane; others join one that goes there already."""
        if preferred == 0:
            return 0
        joined = next((lane for lane, there in enumerate(self.leads_to) if there == goal), None)
        if joined is not None:
            return joined
        return self._free() if preferred is None else preferred

    def _free(self) -> int:
        """Beside the main line."""
        return next((lane for lane, goal in enumerate(self.leads_to) if lane and goal is None), len(self.leads_to))

    def _make(self, lane: int) -> None:
        self.leads_to += [None] * (lane + 1 - len(self.leads_to))
