"""What is computed to draw versions, merge requests and deployments: marks, folds, curves and drafts."""

from apps.strategies.showing.comparison import EQUAL, Line, folded
from apps.strategies.showing.curve import MOST_POINTS, equity_curve
from apps.strategies.showing.drafts import HEAD_MARK, draft_code, draft_parameters
from apps.strategies.showing.marking import marked_words


def test_words_that_differ_are_marked_and_all_else_is_escaped():
    left, right = marked_words("a = b < 1", "a = c < 1")
    assert (left, right) == ("a = <mark>b</mark> &lt; 1", "a = <mark>c</mark> &lt; 1")
    assert marked_words("<x>", "")[0] == "<mark>&lt;x&gt;</mark>"


def test_folding_keeps_three_lines_around_a_difference():
    lines = [Line(EQUAL, number) for number in range(1, 21)]
    lines[9] = Line("changed", 10)
    shown = [(line.folded or None, line.left_number) for line in folded(lines)]
    assert shown == [(6, None), *((None, number) for number in range(7, 14)), (7, None)]


def test_curve_is_thinned_and_leaves_out_days_without_a_value():
    many = [["2022-01-03", float(value)] for value in range(5_000)]
    curve = equity_curve([*many, ["2022-02-01", None]])
    assert curve is not None
    points = curve.points.split()
    assert (len(points), points[0], points[-1]) == (MOST_POINTS, "0.0,120.0", "600.0,0.0")
    assert equity_curve([["2022-01-03", 1.0], ["2022-01-04", None]]) is None


def test_curve_that_does_not_move_is_a_line():
    curve = equity_curve([["2022-01-03", 5.0], ["2022-01-04", 5.0]])
    assert curve is not None
    assert curve.points == "0.0,120.0 600.0,120.0"


def test_draft_marks_lines_that_collide_and_merges_the_others():
    base, head, branch = "a\nb\nc\nd\n", "a\nB\nc\nd\n", "a\nbb\nc\nd\ne\n"
    marked = f"a\n{HEAD_MARK}\nB\n||||||| base\nb\n=======\nbb\n>>>>>>> branch\nc\nd\ne\n"
    assert draft_code(base, head, branch) == marked


def test_draft_of_parameters_merges_what_only_one_side_changed():
    base, head = {"a": 1, "in": {"x": 1}}, {"a": 2, "in": {"x": 2}, "b": 1}
    draft = draft_parameters(base, head, {"in": {"x": 3, "y": 4}})
    assert draft["b"] == 1
    assert draft["in"] == {"x": f"{HEAD_MARK}: 2 ||||||| base: 1 >>>>>>> branch: 3", "y": 4}
    assert draft["a"] == f"{HEAD_MARK}: 2 ||||||| base: 1 >>>>>>> branch: no such key"
