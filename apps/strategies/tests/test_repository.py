"""Out to Git and back: names, parents and branches stay; what was edited by hand comes in; what is broken does not."""

import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.strategies.errors import HistoryBrokenError, RepositoryError, StrategyNotFoundError
from apps.strategies.merge_requests import resolve_version_conflict
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion
from apps.strategies.repository import export_repository, import_repository
from apps.strategies.tests.git_factories import Git, git_in
from apps.strategies.tests.version_factories import (
    code_of,
    make_collision,
    make_conflict,
    make_strategy,
    make_version,
    without_triggers,
)
from apps.strategies.version_history import rebuild_version_history

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "momentum"


@pytest.fixture
def git(folder: Path) -> Git:
    """Git in the folder, as Jane Doe."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    return git_in(folder)


def make_history() -> Strategy:
    """A clean merge, a resolved conflict and two versions that wait, one on the other."""
    strategy, _ = make_collision()
    make_version(
        strategy, 2, {5: "line_5 = 'head'", 20: "line_20 = 'head'", 50: "x = 50"}, message="Fifty\n\nWhy: none"
    )
    make_version(strategy, 2, {5: "line_5 = 'head'", 20: "line_20 = 'head'", 10: "x = 'Ä'"}, {"r": {"cap": 0.1}})
    resolve_version_conflict(strategy.pk, "latest")
    make_conflict(strategy, 2, {5: "line_5 = 'waits'"}, author="Jörg")
    make_conflict(strategy, 8, {5: "line_5 = 'waits, again'"}, parameters={"days": 1e-7, "name": "Ä\u2028\n"})
    return strategy


def shape_of(strategy: Strategy) -> list[Any]:
    """Everything of every version but its strategy and the fractions of its second."""
    columns = ["version", "hash", "parent__hash", "merged_from__hash", "code", "parameters_text", "message"]
    rows = strategy.versions.order_by("version").values_list(*columns, "author", "canonical", "created_at")
    return [(*row[:-1], row[-1].replace(microsecond=0)) for row in rows]


def head_of(strategy: Strategy) -> StrategyVersion:
    head = Strategy.objects.select_related("head").get(pk=strategy.pk).head
    assert head is not None
    return head


def test_history_goes_out_and_comes_back_as_it_was(folder: Path) -> None:
    strategy = make_history()
    exported = export_repository(strategy.pk, folder)
    assert (exported.versions, exported.branches) == (9, ["version-8", "version-9"])
    copy = import_repository(folder, "COPY")
    assert shape_of(copy) == shape_of(strategy)
    assert head_of(copy).hash == head_of(strategy).hash
    assert rebuild_version_history(copy.pk) == {**rebuild_version_history(strategy.pk), "strategy_id": "COPY"}


def test_what_waited_waits_after_the_import(folder: Path) -> None:
    strategy = make_history()
    export_repository(strategy.pk, folder)
    copy = import_repository(folder)
    waiting = [
        list(
            each.merge_requests.filter(status="open")
            .order_by("pk")
            .values_list("branch__hash", "base__hash", "head__hash", "hunks")
        )
        for each in (strategy, copy)
    ]
    assert len(waiting[0]) == 2
    assert waiting[0] == waiting[1]


def test_export_of_the_import_is_the_same_repository(folder: Path, git: Git, tmp_path: Path) -> None:
    """To the last bit: the ids of all commits."""
    strategy = make_history()
    export_repository(strategy.pk, folder)
    refs = git("show-ref")
    copy = import_repository(folder)
    folder.rename(tmp_path / "before")
    export_repository(copy.pk, folder)
    assert git("show-ref") == refs


def test_git_reads_the_export(folder: Path, git: Git) -> None:
    strategy = make_history()
    export_repository(strategy.pk, folder)
    assert git("fsck", "--strict", "--full").strip() == ""
    assert git("status", "--porcelain") == ""
    assert git("branch", "--format=%(refname:short)").split() == ["main", "version-8", "version-9"]
    names = git("log", "--all", "--format=%(trailers:key=Nautilus-Hash,valueonly)").split()
    assert sorted(names) == sorted(strategy.versions.values_list("hash", flat=True))
    main_line = git("log", "--first-parent", "--format=%(trailers:key=Nautilus-Version,valueonly)").split()
    assert [int(number) for number in main_line] == list(
        strategy.versions.filter(canonical=True).order_by("-version").values_list("version", flat=True)
    )
    assert git("show", "main:strategy.py") == head_of(strategy).code
    assert git("log", "-1", "--format=%an %ct", "version-8").split()[0] == "Jörg"
    assert (folder / "strategy.py").read_text() == head_of(strategy).code


@pytest.mark.parametrize(
    "message",
    [
        "",
        "One line",
        "With\n\nparagraphs",
        "Ends in\n\nNautilus-Version: 1\nNautilus-Hash: " + "0" * 64,
        "# no comment",
        "Ä",
    ],
)
def test_every_message_comes_back(folder: Path, message: str) -> None:
    strategy = make_strategy()
    made = make_version(strategy, message=message)
    export_repository(strategy.pk, folder)
    assert import_repository(folder).versions.get().hash == made.hash


def test_commits_made_by_hand_come_in(folder: Path, git: Git) -> None:
    strategy, _ = make_collision()
    export_repository(strategy.pk, folder)
    (folder / "strategy.py").write_text("x = 'by hand'\r\n", newline="")
    git("commit", "-a", "-m", "By hand\n\nIn Git.")
    (folder / "parameters.json").unlink()
    git("commit", "-a", "-m", "No parameters", date="2001-01-01T00:00:00Z")  # a clock that is wrong
    copy = import_repository(folder)
    head = head_of(copy)
    assert (head.version, head.parameters, head.message) == (5, {}, "No parameters")
    assert head.parent is not None
    assert (head.parent.version, head.parent.code) == (4, "x = 'by hand'\n")
    assert (head.parent.author, head.parent.message) == ("Jane Doe <jane@example.org>", "By hand\n\nIn Git.")
    assert rebuild_version_history(copy.pk)["problems"] == []
    assert shape_of(copy)[:3] == shape_of(strategy)


def test_author_from_git_goes_out_as_he_came(folder: Path, git: Git, tmp_path: Path) -> None:
    make_git_history(folder, git)
    copy = import_repository(folder)
    export_repository(copy.pk, tmp_path / "again")
    assert shape_of(import_repository(tmp_path / "again")) == shape_of(copy)
    folder.rename(tmp_path / "before")
    (tmp_path / "again").rename(folder)
    assert git("log", "-1", "--format=%an <%ae>").strip() == "Jane Doe <jane@example.org>"


def test_merge_made_in_git_is_a_merge(folder: Path, git: Git) -> None:
    strategy, request = make_collision()
    export_repository(strategy.pk, folder)
    git("merge", "-X", "theirs", "-m", "Merged in Git", "version-3")
    copy = import_repository(folder)
    head = head_of(copy)
    assert head.parent is not None
    assert head.merged_from is not None
    assert (head.parent.hash, head.merged_from.hash) == (request.head.hash, request.branch.hash)
    assert [head.canonical, head.merged_from.canonical] == [True, False]
    assert not MergeRequest.objects.filter(strategy=copy).exists()


def make_git_history(folder: Path, git: Git, branch: str = "main") -> None:
    """A readme, then two versions, and a branch that changes another line."""
    folder.mkdir()
    git("init", "-q", "-b", branch)
    (folder / "README").write_text("A strategy\n")
    git("add", "-A")
    git("commit", "-m", "Readme", date="2020-01-01T00:00:00Z")
    (folder / "strategy.py").write_text(code_of())
    git("add", "-A")
    git("commit", "-m", "Start")
    git("switch", "-q", "-c", "idea")
    (folder / "strategy.py").write_text(code_of({40: "x = 'idea'"}))
    git("commit", "-a", "-m", "Idea")
    git("switch", "-q", branch)
    (folder / "strategy.py").write_text(code_of({5: "x = 5"}))
    git("commit", "-a", "-m", "Five")


@pytest.mark.parametrize("branch", ["main", "master"])
def test_repository_that_was_never_here_comes_in(folder: Path, git: Git, branch: str) -> None:
    make_git_history(folder, git, branch)
    git("gc", "-q")  # packed objects and packed refs
    strategy = import_repository(folder)
    assert (strategy.pk, strategy.name) == ("STRATEGY_001", "momentum")
    assert sorted(strategy.versions.values_list("message", "canonical")) == [
        ("Five", True),
        ("Idea", False),
        ("Start", True),
    ]
    assert head_of(strategy).message == "Five"
    assert rebuild_version_history(strategy.pk)["valid"]


def test_branch_that_merges_cleanly_waits_for_a_word_and_needs_no_content(folder: Path, git: Git) -> None:
    make_git_history(folder, git)
    strategy = import_repository(folder)
    request = MergeRequest.objects.get(strategy=strategy)
    assert (request.hunks, request.branch.message) == ([], "Idea")
    version = resolve_version_conflict(strategy.pk, "manual")
    assert version.code == code_of({5: "x = 5", 40: "x = 'idea'"})


def test_bare_clone_comes_in(folder: Path, git: Git, tmp_path: Path) -> None:
    strategy = make_history()
    export_repository(strategy.pk, folder)
    git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    assert shape_of(import_repository(tmp_path / "bare.git")) == shape_of(strategy)


def test_commit_that_was_changed_under_its_name_is_refused(folder: Path, git: Git) -> None:
    strategy, _ = make_collision()
    export_repository(strategy.pk, folder)
    (folder / "strategy.py").write_text("x = 'amended'\n")
    git("commit", "-a", "--amend", "--no-edit")
    with pytest.raises(RepositoryError, match="says Nautilus-Hash") as caught:
        import_repository(folder, "COPY")
    assert "take the trailers out" in caught.value.remedy
    assert not Strategy.objects.filter(pk="COPY").exists()


def link_code(folder: Path) -> None:
    (folder / "strategy.py").unlink()
    (folder / "strategy.py").symlink_to("/etc/passwd")


def take_code_away(folder: Path) -> None:
    (folder / "strategy.py").rename(folder / "other.py")


def writes(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (writes("parameters.json", b"{'days': 60}"), "parameters.json is not JSON"),
        (writes("parameters.json", b'{"days": 60, "days": 61}'), "'days' is there twice"),
        (writes("parameters.json", b'{"days": NaN}'), "'days' is nan"),
        (writes("strategy.py", b"x = '\xe4'\n"), "can't decode byte 0xe4"),
        (writes("strategy.py", b"#" * 100_001), "100,002 bytes"),
        (link_code, "strategy.py is no ordinary file"),
        (take_code_away, "has no strategy.py, and its parent has"),
    ],
)
def test_commit_that_is_no_version_is_named(folder: Path, git: Git, spoil: Callable[[Path], Any], said: str) -> None:
    make_git_history(folder, git)
    spoil(folder)
    git("add", "-A")
    git("commit", "-m", "Spoilt")
    commit = git("rev-parse", "HEAD")[:12]
    with pytest.raises(RepositoryError, match=f"Commit {commit}.*{said}"):
        import_repository(folder)
    assert not Strategy.objects.exists()


def test_two_beginnings_are_refused(folder: Path, git: Git) -> None:
    make_git_history(folder, git)
    git("switch", "-q", "--orphan", "other")
    (folder / "strategy.py").write_text("x = 1\n")
    git("add", "-A")
    git("commit", "-m", "Other")
    with pytest.raises(RepositoryError, match="is a second beginning"):
        import_repository(folder)


def test_merge_of_three_is_refused(folder: Path, git: Git) -> None:
    make_git_history(folder, git)
    for name, line in (("two", 20), ("three", 30)):
        git("switch", "-q", "-c", name, "main~1")
        (folder / "strategy.py").write_text(code_of({line: f"x = {line}"}))
        git("commit", "-a", "-m", name)
    git("switch", "-q", "main")
    git("merge", "-m", "Octopus", "two", "three")
    with pytest.raises(RepositoryError, match="has 3 parents"):
        import_repository(folder)


def test_shallow_clone_is_refused(folder: Path, git: Git, tmp_path: Path) -> None:
    make_git_history(folder, git)
    git("clone", "-q", "--depth=1", f"file://{folder}", str(tmp_path / "shallow"))
    with pytest.raises(RepositoryError, match="is not in the repository"):
        import_repository(tmp_path / "shallow")


def test_repository_without_a_main_branch_says_which_it_has(folder: Path, git: Git) -> None:
    make_git_history(folder, git, "trunk")
    with pytest.raises(RepositoryError, match="there are: idea, trunk"):
        import_repository(folder)


def test_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RepositoryError, match="no Git repository at"):
            import_repository(path)


def test_strategy_with_versions_takes_no_import_and_one_without_does(folder: Path) -> None:
    strategy, empty = make_history(), make_strategy("EMPTY")
    export_repository(strategy.pk, folder)
    with pytest.raises(RepositoryError, match=r"has 9 version\(s\) already"):
        import_repository(folder, strategy.pk)
    assert shape_of(import_repository(folder, "EMPTY")) == shape_of(strategy)
    assert head_of(empty).hash == head_of(strategy).hash


def test_export_writes_over_nothing(folder: Path) -> None:
    strategy, _ = make_collision()
    folder.mkdir()
    export_repository(strategy.pk, folder)  # an empty folder is taken
    with pytest.raises(RepositoryError, match="is there already"):
        export_repository(strategy.pk, folder)
    with pytest.raises(RepositoryError, match="There is no folder"):
        export_repository(strategy.pk, folder / "a" / "b")


def test_export_of_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(StrategyNotFoundError):
        export_repository("NOBODY", folder)
    with pytest.raises(RepositoryError, match="has no version"):
        export_repository(make_strategy().pk, folder)
    assert not folder.exists()


def test_changed_history_is_not_exported_and_leaves_nothing(folder: Path) -> None:
    strategy, _ = make_collision()
    with without_triggers():
        strategy.versions.filter(version=2).update(author="mallory")
    with pytest.raises(HistoryBrokenError, match="version 2 is not what its hash says"):
        export_repository(strategy.pk, folder)
    assert list(folder.parent.iterdir()) == []


def test_commands_say_what_they_did(folder: Path) -> None:
    strategy = make_history()
    out = StringIO()
    call_command("export_strategy", strategy.pk, folder, stdout=out)
    call_command("import_strategy", folder, strategy_id="COPY", stdout=out)
    assert out.getvalue().splitlines() == [
        f"9 versions of {strategy.pk} in {folder}; not merged: version-8, version-9.",
        "9 versions in COPY, 2 merge requests are open.",
    ]


def test_commands_say_what_was_wrong(folder: Path) -> None:
    with pytest.raises(CommandError, match="Nothing was exported: There is no strategy 'NOBODY'"):
        call_command("export_strategy", "NOBODY", folder)
    with pytest.raises(CommandError, match="Nothing was imported: There is no Git repository"):
        call_command("import_strategy", folder)
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        call_command("import_strategy", folder, user="nobody")
