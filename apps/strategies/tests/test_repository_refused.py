"""Repositories that are broken or made to do harm: each is refused with the commit's name, and nothing stays."""

import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dulwich.objects import Blob, ObjectID
from dulwich.repo import Repo

from apps.strategies import git_objects, repository
from apps.strategies.errors import RepositoryError
from apps.strategies.git_commits import read_commit
from apps.strategies.hashing import content_hash
from apps.strategies.models import Strategy
from apps.strategies.repository import import_repository
from apps.strategies.tests.git_factories import Git, make_repository, put_on_main
from apps.strategies.tests.version_factories import at_once, make_strategy

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "momentum"


def check_refused(folder: Path, git: Git, said: str, name: str = "") -> None:
    name = name or git("rev-parse", "main")[:12]
    with pytest.raises(RepositoryError, match=f"Commit {name}.*{said}"):
        import_repository(folder)
    assert not Strategy.objects.exists()


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("@2500000000 +0000", "its time is 2049-03-22T04:26:40Z, which is to come"),
        ("@99999999999999 +0000", "its time, 99999999999999 s after 1970, is no date"),
    ],
)
def test_commit_of_a_time_to_come_is_refused(folder: Path, date: str, said: str) -> None:
    """It would give its time to every version after it."""
    check_refused(folder, make_repository(folder, date=date), said)


def test_trailers_below_a_message_that_is_too_long_are_refused(folder: Path) -> None:
    message = "m" * 1_001
    made = {"code": "x = 1\n", "parameters_text": "{}", "message": message, "author": "Jane Doe <jane@example.org>"}
    name = content_hash(**made, parent_hash=None, merged_from_hash=None)
    git = make_repository(folder, f"{message}\n\nNautilus-Version: 1\nNautilus-Hash: {name}")
    check_refused(folder, git, "The message has 1,001 characters")


def test_large_object_under_a_branch_is_not_inflated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = make_repository(folder)
    blob = git("hash-object", "-w", "--stdin", stdin=b"#" * 300_000)
    (folder / ".git" / "refs" / "heads" / "odd").write_text(blob)
    monkeypatch.setattr(git_objects, "MAX_OBJECT_BYTES", 200_000)
    inflated = inflated_sizes(monkeypatch)
    check_refused(folder, git, "exceeds maximum size", blob[:12])
    assert inflated == []


def test_branch_that_is_no_commit_is_refused(folder: Path) -> None:
    git = make_repository(folder)
    blob = git("rev-parse", "main:strategy.py")
    (folder / ".git" / "refs" / "heads" / "odd").write_text(blob)
    check_refused(folder, git, "is a blob; expected a commit", blob[:12])


@pytest.mark.parametrize("missing", ["main^{tree}", "main:strategy.py"])
def test_commit_without_its_tree_or_file_is_refused(folder: Path, missing: str) -> None:
    git = make_repository(folder)
    name = git("rev-parse", missing).strip()
    (folder / ".git" / "objects" / name[:2] / name[2:]).unlink()
    check_refused(folder, git, f"the object {name[:12]} is not in the repository")


def test_object_that_is_no_zlib_stream_is_refused(folder: Path) -> None:
    git = make_repository(folder)
    write_object(folder, git("rev-parse", "main:strategy.py").strip(), b"no zlib")
    check_refused(folder, git, "cannot be read")


def write_object(folder: Path, name: str, data: bytes) -> None:
    path = folder / ".git" / "objects" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def edited(old: str, new: str) -> Callable[[str], str]:
    return lambda commit: commit.replace(old, new, 1)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (edited("\n\n", "\nencoding unicode_escape\n\n"), "its text is in 'unicode_escape'; expected ascii"),
        (edited("\n\n", "\nencoding nonsense\n\n"), "its text is in 'nonsense'"),
        (edited("tree ", "trie "), "cannot be read: commit does not start with a tree"),
    ],
)
def test_commit_that_says_nonsense_is_refused(folder: Path, edit: Callable[[str], str], said: str) -> None:
    git = make_repository(folder)
    put_on_main(folder, git, edit(git("cat-file", "commit", "main").replace("Jane", "\\ud800")))
    check_refused(folder, git, said)


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "latin1", "US-ASCII"])
def test_commit_in_an_encoding_of_letters_comes_in(folder: Path, encoding: str) -> None:
    git = make_repository(folder)
    put_on_main(folder, git, git("cat-file", "commit", "main").replace("\n\n", f"\nencoding {encoding}\n\n", 1))
    assert import_repository(folder).versions.get().author == "Jane Doe <jane@example.org>"


@pytest.mark.parametrize(("packed", "said"), [(False, "exceeds maximum size"), (True, "300,000 bytes.*200,000")])
def test_file_that_inflates_to_too_much_is_not_inflated(
    folder: Path, packed: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = make_repository(folder)
    commit_code(folder, git, "#" * 300_000)
    if packed:
        git("gc", "-q", "--prune=now")
    monkeypatch.setattr(git_objects, "MAX_OBJECT_BYTES", 200_000)
    inflated = inflated_sizes(monkeypatch)
    check_refused(folder, git, said)
    assert max(inflated) == len("x = 1\n")


def commit_code(folder: Path, git: Git, code: str) -> None:
    (folder / "strategy.py").write_text(code)
    git("commit", "-q", "-a", "-m", "Another")


def test_sizes_in_a_pack_are_those_that_git_says(folder: Path) -> None:
    git = make_deltas(folder)
    with Repo(str(folder)) as opened:
        (pack,) = opened.object_store.packs
        data = Path(opened.object_store.pack_dir, pack.data.filename).read_bytes()
        listed = git("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objectsize) %(deltabase)")
        bases = []
        for name, size, base in map(str.split, listed.splitlines()):
            place = pack.index.object_offset(ObjectID(name.encode()))
            found, base_place = git_objects._packed(pack, place, data[place : place + 128])
            assert found == int(size)
            assert base_place == (pack.index.object_offset(ObjectID(base.encode())) if int(base, 16) else None)
            bases.append(base_place)
    assert any(bases)


def make_deltas(folder: Path) -> Git:
    """A pack with texts that are kept as what differs from others, of which the largest has 200,000 bytes or more."""
    git = make_repository(folder)
    lines = [f"{zlib.crc32(b'%d' % number)}\n" for number in range(20_000)]
    for end in (9_000, 20_000):
        commit_code(folder, git, "".join(lines[:end]))
    git("gc", "-q", "--prune=now")
    return git


def test_small_file_that_is_made_of_a_large_one_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Git keeps it: the larger text whole, the smaller one as what is different."""
    git = make_deltas(folder)
    monkeypatch.setattr(git_objects, "MAX_OBJECT_BYTES", 150_000)
    inflated = inflated_sizes(monkeypatch)
    check_refused(folder, git, "expected at most 150,000", git("rev-parse", "main~1")[:12])
    assert max(inflated) < 150_000


def inflated_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of all blobs that are read from here on."""
    sizes: list[int] = []
    from_string = Blob.set_raw_string

    def counting(self: Blob, text: bytes, *arguments: Any, **named: Any) -> None:
        sizes.append(len(text))
        from_string(self, text, *arguments, **named)

    monkeypatch.setattr(Blob, "set_raw_string", counting)
    return sizes


@pytest.mark.django_db(transaction=True)
def test_others_begin_strategies_while_a_history_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_repository(folder)
    begun: list[Any] = []

    def begins_meanwhile(*arguments: Any) -> Any:
        begun.extend(at_once(lambda _: make_strategy().pk, 1))
        return read_commit(*arguments)

    monkeypatch.setattr(repository, "read_commit", begins_meanwhile)
    assert import_repository(folder).pk == "STRATEGY_001"
    assert begun == ["STRATEGY_002"]


@pytest.mark.django_db(transaction=True)
def test_refused_import_leaves_no_strategy_behind(folder: Path) -> None:
    git = make_repository(folder, date="@2500000000 +0000")
    check_refused(folder, git, "which is to come")
    assert make_strategy().pk == "STRATEGY_001"


def test_strategy_that_was_there_stays_when_its_import_is_refused(folder: Path) -> None:
    make_repository(folder, date="@2500000000 +0000")
    kept = make_strategy("MINE")
    with pytest.raises(RepositoryError, match="which is to come"):
        import_repository(folder, "MINE")
    assert Strategy.objects.get() == kept
