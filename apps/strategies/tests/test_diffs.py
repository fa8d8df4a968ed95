"""Differences as text that `patch` takes, by parameter, and side by side."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.strategies.diffs import Row, diff_parameters, diff_versions, side_by_side
from apps.strategies.models import StrategyVersion
from apps.strategies.tests.version_factories import code_of

codes = st.lists(st.sampled_from(["a", "b", "c", "", "    return w"]), min_size=1, max_size=14)


def version(number: int, code: str, parameters_text: str = "{}") -> StrategyVersion:
    return StrategyVersion(strategy_id="S", version=number, code=code, parameters_text=parameters_text)


def test_diff_names_both_versions_and_shows_three_lines_around() -> None:
    diff = diff_versions(version(3, code_of(lines=9)), version(7, code_of({5: "x = 5"}, 9)))
    assert (diff["strategy_id"], diff["from"], diff["to"]) == ("S", 3, 7)
    assert diff["code"].splitlines() == [
        "--- strategy.py version 3",
        "+++ strategy.py version 7",
        "@@ -2,7 +2,7 @@",
        " line_2 = 2",
        " line_3 = 3",
        " line_4 = 4",
        "-line_5 = 5",
        "+x = 5",
        " line_6 = 6",
        " line_7 = 7",
        " line_8 = 8",
    ]


def test_same_code_has_no_diff() -> None:
    assert diff_versions(version(1, "x = 1\n"), version(2, "x = 1\n"))["code"] == ""


def test_insert_before_the_first_line_names_the_line_before_it() -> None:
    diff = diff_versions(version(1, "\n"), version(2, "x = 1\n\n"))
    assert "@@ -1,1 +1,2 @@" in diff["code"]
    assert "@@ -0,0 +1,1 @@" in diff_versions(version(1, ""), version(2, "x = 1\n"))["code"]


@given(codes, codes)
def test_patch_makes_one_version_of_the_other(
    tmp_path_factory: pytest.TempPathFactory, left: list[str], right: list[str]
) -> None:
    before, after = ("".join(f"{line}\n" for line in lines) for lines in (left, right))
    diff = diff_versions(version(1, before), version(2, after))["code"]
    assert applied(before, diff) == after


def applied(text: str, diff: str) -> str:
    """A plain twin of `patch`: by the numbers in the diff."""
    lines, made, place = text.split("\n")[:-1], [], 0
    for line in diff.split("\n")[2:-1]:
        if line.startswith("@@"):
            start, count = (int(part) for part in line.split()[1][1:].split(","))
            until = start - 1 if count else start
            made += lines[place:until]
            place = until
        elif line[0] == "+":
            made.append(line[1:])
        else:
            assert lines[place] == line[1:]
            made += [line[1:]] if line[0] == " " else []
            place += 1
    return "".join(f"{line}\n" for line in [*made, *lines[place:]])


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_git_applies_a_diff(tmp_path: Path) -> None:
    before, after = code_of(), code_of({1: "x = 1", 30: "y\nz", 59: "", 60: "end"})
    (tmp_path / "strategy.py").write_text(before)
    diff = diff_versions(version(1, before), version(2, after))["code"]
    subject = diff.replace("strategy.py version 1", "a/strategy.py").replace("strategy.py version 2", "b/strategy.py")
    subprocess.run(["git", "apply"], input=subject, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "strategy.py").read_text() == after


@pytest.mark.parametrize(
    ("left", "right", "diff"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 3, "c": 4}, {"added": {"c": 4}, "removed": {"b": 2}, "changed": {"a": (1, 3)}}),
        ({"r": {"cap": 1, "x": 0}}, {"r": {"cap": 2, "x": 0}}, {"changed": {"r.cap": (1, 2)}}),
        ({"r": {"cap": 1}}, {"r": {}}, {"removed": {"r.cap": 1}}),
        ({"r": {"cap": 1}}, {"r": 5}, {"changed": {"r": ({"cap": 1}, 5)}}),
        ({"a": None}, {}, {"removed": {"a": None}}),
        ({"a.b": 1, "a": {"b": 1}}, {"a.b": 2, "a": {"b": 3}}, {"changed": {"a\\.b": (1, 2), "a.b": (1, 3)}}),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"changed": {"a": ([1, 2], [2, 1])}}),
    ],
)
def test_parameters_are_compared_by_name(left: Any, right: Any, diff: dict[str, Any]) -> None:
    changed = {name: {"from": old, "to": new} for name, (old, new) in diff.get("changed", {}).items()}
    expected = {"added": diff.get("added", {}), "removed": diff.get("removed", {}), "changed": changed}
    assert diff_parameters(left, right) == expected


def test_names_that_would_be_longer_than_anybody_reads_are_of_whole_objects() -> None:
    left, right = ({"k" * 200: {"m" * 200: {str(n): value for n in range(5_000)}}, "a": value} for value in (1, 2))
    diff = diff_parameters(left, right)
    assert list(diff["changed"]) == ["a", "k" * 200]
    assert diff["changed"]["k" * 200] == {"from": left["k" * 200], "to": right["k" * 200]}
    few, others = ({"k" * 200: {"m" * 200: {str(n): value for n in range(100)}}} for value in (1, 2))
    assert f"{'k' * 200}.{'m' * 200}.99" in diff_parameters(few, others)["changed"]


def test_one_and_true_are_two_values() -> None:
    assert list(diff_parameters({"a": 1, "b": 1}, {"a": True, "b": 1.0})["changed"]) == ["a", "b"]


def test_side_by_side_pairs_changed_lines_and_leaves_gaps() -> None:
    rows = side_by_side(version(1, "a\nb\nc\nd\n"), version(2, "a\nX\nY\nc\n"))
    assert rows == [
        Row("equal", 1, "a", 1, "a"),
        Row("changed", 2, "b", 2, "X"),
        Row("added", None, "", 3, "Y"),
        Row("equal", 3, "c", 4, "c"),
        Row("removed", 4, "d", None, ""),
    ]


@given(codes, codes)
def test_side_by_side_shows_every_line_of_both_once(left: list[str], right: list[str]) -> None:
    rows = side_by_side(*(version(n, "".join(f"{x}\n" for x in lines)) for n, lines in enumerate((left, right), 1)))
    assert [(row.left_number, row.left_text) for row in rows if row.left_number] == list(enumerate(left, 1))
    assert [(row.right_number, row.right_text) for row in rows if row.right_number] == list(enumerate(right, 1))
    assert all((row.kind == "equal") == (row.left_text == row.right_text) for row in rows if both(row))


def both(row: Row) -> bool:
    return row.left_number is not None and row.right_number is not None
