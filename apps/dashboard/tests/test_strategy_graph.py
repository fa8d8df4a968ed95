"""Lanes and lines of the graph of versions."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from apps.dashboard.pages.strategy_graph import BOTTOM, LANE_WIDTH, MIDDLE, MOST_LANES, TOP, Line, version_graph
from apps.strategies.ancestry import Node

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def node(number: int, parent: int | None = None, merged: int | None = None, *, canonical: bool = True) -> Node:
    return Node(number, number, f"{number:064}", parent, merged, canonical, NOW)


def test_first_version_is_a_node_without_lines():
    graph = version_graph([node(1)])
    assert (graph.width, graph.rows[1].lane, graph.rows[1].lines) == (LANE_WIDTH, 0, ())


def test_versions_that_follow_each_other_are_one_line():
    rows = version_graph([node(1), node(2, 1), node(3, 2)]).rows
    assert [rows[number].lane for number in (1, 2, 3)] == [0, 0, 0]
    assert rows[3].lines == (Line(0, MIDDLE, 0, BOTTOM),)
    assert rows[2].lines == (Line(0, TOP, 0, MIDDLE), Line(0, MIDDLE, 0, BOTTOM))
    assert rows[1].lines == (Line(0, TOP, 0, MIDDLE),)


def test_merge_goes_down_to_what_it_took_in_and_that_to_its_parent():
    """1 ← 2 is the main line, 3 was posted on 1, 4 merges it."""
    graph = version_graph([node(1), node(2, 1), node(3, 1, canonical=False), node(4, 2, 3)])
    rows = graph.rows
    assert graph.width == 2 * LANE_WIDTH
    assert [rows[number].lane for number in (4, 3, 2, 1)] == [0, 1, 0, 0]
    assert rows[4].lines == (Line(0, MIDDLE, 0, BOTTOM), Line(0, MIDDLE, 1, BOTTOM))
    assert Line(0, TOP, 0, BOTTOM) in rows[3].lines  # the main line passes
    assert rows[2].lines == (Line(0, TOP, 0, MIDDLE), Line(1, TOP, 1, BOTTOM), Line(0, MIDDLE, 0, BOTTOM))
    assert set(rows[1].lines) == {Line(0, TOP, 0, MIDDLE), Line(1, TOP, 0, MIDDLE)}


def test_many_that_were_posted_on_one_parent_share_its_lane():
    beside = [node(number, 1, canonical=False) for number in range(3, 30)]
    graph = version_graph([node(1), node(2, 1), *beside])
    assert graph.width <= 3 * LANE_WIDTH
    assert {graph.rows[each.id].lane for each in beside} <= {1, 2}


def test_no_row_is_wider_than_the_most_lanes():
    beside = [node(number, number - 20, canonical=False) for number in range(21, 41)]
    graph = version_graph([node(1), *(node(number, number - 1) for number in range(2, 21)), *beside])
    assert graph.width == MOST_LANES * LANE_WIDTH
    assert all(line.x2 < graph.width for row in graph.rows.values() for line in row.lines)


@pytest.mark.parametrize("nodes", [[node(2, 9), node(1)], [node(1, 2), node(2, 1)], [node(3, 3)]])
def test_broken_history_is_drawn_all_the_same(nodes):
    assert set(version_graph(nodes).rows) == {each.id for each in nodes}


def test_every_line_goes_on_in_the_row_below():
    """No row ends a line that the next does not take up, and none begins from nowhere."""
    nodes = [
        node(1),
        node(2, 1),
        node(3, 1, canonical=False),
        node(4, 2, 3),
        node(5, 3, canonical=False),
        node(6, 4, 5),
    ]
    rows = [version_graph(nodes).rows[number] for number in range(6, 0, -1)]
    for above, below in pairwise(rows):
        leaving = {line.to_lane for line in above.lines if line.to_height == BOTTOM}
        assert leaving == {line.from_lane for line in below.lines if line.from_height == TOP}
