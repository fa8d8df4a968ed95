"""Three-way merges of lines and of parameters: what holds, what collides, and that nothing is lost."""

import json
import random
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.strategies.content_merging import MAX_HUNKS, merge_contents
from apps.strategies.contents import MAX_BYTES, MAX_NAME, checked_content, lines_of
from apps.strategies.kernels.matching import LineMatcher, matching_blocks
from apps.strategies.kernels.merging import merge_lines, merge_parameters

# Few different lines: repeats are where diffs go wrong.
texts = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "    return w\n"]), max_size=14)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 0.5]), st.text(max_size=2))
objects = st.dictionaries(
    st.sampled_from("pqrs"),
    st.recursive(
        scalars, lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("xy"), inner))
    ),
)


def lines(text: str) -> list[str]:
    """One a letter."""
    return [f"{letter}\n" for letter in text]


def merged(base: str, head: str, branch: str) -> str | None:
    result = merge_lines(lines(base), lines(head), lines(branch)).lines
    return None if result is None else "".join(result).replace("\n", "")


@given(texts, texts)
def test_side_that_alone_changed_lines_holds(base: list[str], changed: list[str]) -> None:
    assert merge_lines(base, changed, base).lines == changed
    assert merge_lines(base, base, changed).lines == changed


@given(texts, texts)
def test_same_change_of_lines_on_both_sides_is_made_once(base: list[str], changed: list[str]) -> None:
    assert merge_lines(base, changed, changed).lines == changed


@given(texts, texts, texts, st.data())
def test_clean_merge_has_what_both_sides_inserted(
    base: list[str], head: list[str], branch: list[str], data: Any
) -> None:
    head = [*head[: len(head) // 2], "only head\n", *head[len(head) // 2 :]]
    branch = [*data.draw(st.permutations(branch)), "only branch\n"]
    result = merge_lines(base, head, branch)
    if result.lines is not None:
        assert {"only head\n", "only branch\n"} <= set(result.lines)


@given(texts, st.integers(0, 14), st.integers(0, 14))
def test_inserts_with_a_kept_line_between_them_are_both_made(base: list[str], one: int, other: int) -> None:
    base = [f"{number} {line}" for number, line in enumerate(base)]
    one, other = min(one, len(base)), min(other, len(base))
    head = [*base[:one], "head\n", *base[one:]]
    branch = [*base[:other], "branch\n", *base[other:]]
    result = merge_lines(base, head, branch)
    if one == other:
        assert len(result.hunks) == 1
    else:
        first, second = sorted([(one, "head\n"), (other, "branch\n")])
        expected = [*base[: first[0]], first[1], *base[first[0] : second[0]], second[1], *base[second[0] :]]
        assert result.lines == expected


@given(texts, texts, texts)
def test_merge_has_hunks_or_lines_whichever_side_is_called_head(
    base: list[str], head: list[str], branch: list[str]
) -> None:
    one, other = merge_lines(base, head, branch), merge_lines(base, branch, head)
    assert one.lines == other.lines
    assert (one.lines is None) == bool(one.hunks) == bool(other.hunks)


@pytest.mark.parametrize(
    ("base", "head", "branch", "expected"),
    [
        ("abcde", "aXcde", "abcYe", "aXcYe"),
        ("abcde", "aXYZcde", "abce", "aXYZce"),
        ("abc", "abcH", "Babc", "BabcH"),
        ("abcde", "ace", "ace", "ace"),  # both delete the same
        ("abcdef", "aef", "abcdeX", "aeX"),
        ("abcde", "cde", "abc", "c"),  # each deletes one end
        ("abcdef", "aXcdef", "aXcdeY", "aXcdeY"),  # the same change on both sides, and one more
        ("", "a", "a", "a"),
        ("abc", "", "abc", ""),
    ],
)
def test_changes_apart_are_both_made(base: str, head: str, branch: str, expected: str) -> None:
    assert merged(base, head, branch) == expected


@pytest.mark.parametrize(
    ("base", "head", "branch"),
    [
        ("abc", "aXc", "aYc"),  # the same line
        ("abcd", "aXcd", "abYd"),  # lines that touch
        ("abcde", "ae", "abXde"),  # deleted here, edited there
        ("abcde", "abXde", "ae"),
        ("abc", "abXc", "abYc"),  # inserted at the same place
        ("ab", "abX", "abY"),  # at the end
        ("ab", "Xab", "Yab"),  # at the start
        ("abc", "ac", "abXc"),  # an insert beside a deleted line
        ("", "a", "b"),
    ],
)
def test_changes_that_touch_collide(base: str, head: str, branch: str) -> None:
    assert merged(base, head, branch) is None


def test_hunk_says_where_and_what_each_side_has() -> None:
    (hunk,) = merge_lines(lines("abcde"), lines("aXYcde"), lines("acde")).hunks
    assert hunk == {
        "kind": "code",
        "base": {"start": 2, "lines": ["b\n"]},
        "head": {"start": 2, "lines": ["X\n", "Y\n"]},
        "branch": {"start": 2, "lines": []},
    }


def test_two_functions_are_not_woven_into_each_other() -> None:
    shared = ["def shared():\n", "    return w\n", "\n"]
    head = ["def one():\n", "    x = 1\n", "    return w\n", "\n", *shared]
    branch = [*shared, "def two():\n", "    y = 2\n", "    return w\n", "\n"]
    assert merge_lines(shared, head, branch).lines == [*head, *branch[3:]]


@given(texts, texts)
def test_matched_lines_are_the_same_and_rise_on_both_sides(a: list[str], b: list[str]) -> None:
    *blocks, last = matching_blocks(a, b)
    assert all(a[i : i + n] == b[j : j + n] and n > 0 for i, j, n in blocks)
    assert last == (len(a), len(b), 0)
    for one, other in pairwise([*blocks, last]):
        assert one.a + one.size <= other.a
        assert one.b + one.size <= other.b
        assert not other.size or (one.a + one.size, one.b + one.size) != (other.a, other.b)


@given(texts, texts)
def test_opcodes_make_one_text_of_the_other(a: list[str], b: list[str]) -> None:
    made = []
    for kind, i, j, k, n in LineMatcher(None, a, b).get_opcodes():
        made += a[i:j] if kind == "equal" else b[k:n]
    assert made == b


def test_lines_that_occur_once_are_matched_as_difflib_does() -> None:
    random_numbers = random.Random(7)
    base = [f"{number}\n" for number in range(300)]
    changed = [line for line in base if random_numbers.random() > 0.2]
    expected = SequenceMatcher(None, base, changed, autojunk=False).get_matching_blocks()
    assert matching_blocks(base, changed) == expected


def test_text_that_difflib_takes_minutes_for_is_merged() -> None:
    """10,000 lines of two kinds: difflib ran for more than four minutes."""
    base, head, branch = ["a\n", "b\n"] * 5_000, ["b\n", "a\n", "a\n"] * 4_000, ["a\n", "b\n"] * 5_000
    assert merge_lines(base, head, branch).lines == head


@given(objects, objects)
def test_parameters_that_one_side_changed_hold(base: dict[str, Any], changed: dict[str, Any]) -> None:
    for result in (merge_parameters(base, changed, base), merge_parameters(base, base, changed)):
        assert repr_of(result.parameters) == repr_of(changed)
    assert repr_of(merge_parameters(base, changed, changed).parameters) == repr_of(changed)


def repr_of(value: Any) -> Any:
    """Tells 1, 1.0 and True apart."""
    if isinstance(value, dict):
        return {key: repr_of(item) for key, item in value.items()}
    return repr(value)


@pytest.mark.parametrize(
    ("base", "head", "branch", "expected"),
    [
        ({"a": 1}, {"a": 2}, {"a": 1, "b": 3}, {"a": 2, "b": 3}),
        ({"a": 1, "b": 2}, {"b": 2}, {"a": 1}, {}),
        (
            {"risk": {"cap": 1, "floor": 0}},
            {"risk": {"cap": 2, "floor": 0}},
            {"risk": {"cap": 1}},
            {"risk": {"cap": 2}},
        ),
        ({}, {"risk": {"cap": 1}}, {"risk": {"floor": 0}}, {"risk": {"cap": 1, "floor": 0}}),
        (
            {"a": {"b": {"c": 1}}},
            {"a": {"b": {"c": 1, "d": 2}}},
            {"a": {"b": {"c": 3}}},
            {"a": {"b": {"c": 3, "d": 2}}},
        ),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1]}, {"a": [1, 2]}),
    ],
)
def test_parameters_merge_key_by_key_at_every_depth(base: Any, head: Any, branch: Any, expected: Any) -> None:
    assert merge_parameters(base, head, branch) == (expected, [])


@pytest.mark.parametrize(
    ("base", "head", "branch", "hunk"),
    [
        ({"a": 1}, {"a": 2}, {"a": 3}, {"path": ["a"], "base": 1, "head": 2, "branch": 3}),
        ({"a": 1}, {}, {"a": 3}, {"path": ["a"], "base": 1, "branch": 3}),
        ({}, {"a": 1}, {"a": None}, {"path": ["a"], "head": 1, "branch": None}),
        ({"a": 0}, {"a": 1}, {"a": True}, {"path": ["a"], "base": 0, "head": 1, "branch": True}),
        ({"a": 0}, {"a": 1}, {"a": 1.0}, {"path": ["a"], "base": 0, "head": 1, "branch": 1.0}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [0, 1]}, {"path": ["a"], "base": [1], "head": [1, 2], "branch": [0, 1]}),
        ({"r": {"c": 1}}, {"r": {"c": 2}}, {"r": {"c": 3}}, {"path": ["r", "c"], "base": 1, "head": 2, "branch": 3}),
        ({"r": {"c": 1}}, {}, {"r": {"c": 3}}, {"path": ["r"], "base": {"c": 1}, "branch": {"c": 3}}),
        ({"r": 1}, {"r": {"c": 1}}, {"r": {"d": 1}}, {"path": ["r"], "base": 1, "head": {"c": 1}, "branch": {"d": 1}}),
    ],
)
def test_parameter_that_both_sides_changed_collides(base: Any, head: Any, branch: Any, hunk: Any) -> None:
    result = merge_parameters(base, head, branch)
    assert result.parameters is None
    assert repr_of(result.hunks[0]) == repr_of({"kind": "parameters", **hunk})
    assert len(result.hunks) == 1


def test_form_feed_and_line_separator_end_no_line() -> None:
    assert lines_of("a = '\x0c'\nb = '\u2028'\n") == ["a = '\x0c'\n", "b = '\u2028'\n"]


def test_merge_that_is_too_large_to_post_collides_as_a_whole() -> None:
    base = checked_content("x = 1\n", {})
    comment = "#" * (MAX_BYTES - 100)
    head = checked_content(f"{comment}\nx = 1\n", {"head": 1})
    branch = checked_content(f"x = 1\n{comment}\n", {"branch": 1})
    result = merge_contents(base, head, branch)
    assert (result.code, result.content) == (None, None)
    assert result.parameters_text == '{"branch":1,"head":1}'
    assert "The code has 199,808 bytes" in result.hunks[0]["detail"]  # 2 x (99,900 + LF) + 6


def nested_numbers(value: int, count: int) -> dict[str, Any]:
    """`count` numbers, 19 objects deep, each named by 200 characters."""
    parameters: dict[str, Any] = {str(number): value for number in range(count)}
    for _ in range(19):
        parameters = {"k" * MAX_NAME: parameters}
    return parameters


@pytest.mark.parametrize("count", [MAX_HUNKS + 1, 400])  # too many; of too long paths: 400 x 19 x 200
def test_collisions_that_are_too_many_or_too_long_are_one_hunk(count: int) -> None:
    sides = [checked_content("x = 1\n", nested_numbers(value, count)) for value in (0, 1, 2)]
    result = merge_contents(*sides)
    (hunk,) = result.hunks
    assert (result.parameters_text, hunk["path"], hunk["branch"]) == (None, [], sides[2].parameters)
    assert f"collide in {count} places" in hunk["detail"]
    assert len(json.dumps(result.hunks)) < 3 * MAX_BYTES


def test_collisions_that_can_be_read_are_a_hunk_each() -> None:
    result = merge_contents(*(checked_content("x = 1\n", nested_numbers(value, 200)) for value in (0, 1, 2)))
    assert len(result.hunks) == 200


def test_too_many_collisions_of_lines_are_one_hunk() -> None:
    count = MAX_HUNKS + 1
    sides = [
        checked_content("".join(f"x = {value}\nkept_{number}\n" for number in range(count)), {}) for value in (0, 1, 2)
    ]
    (hunk,) = merge_contents(*sides).hunks
    assert hunk["head"] == {"start": 1, "lines": sides[1].lines}
    assert f"collide in {count} places" in hunk["detail"]
