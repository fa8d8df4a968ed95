"""A version as a Git commit, and back: `strategy.py`, `parameters.json`, the author, and trailers with its name."""

import json
import re
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from dulwich.objects import Blob, Commit, ShaFile, Tree
from dulwich.repo import Repo

from apps.strategies.chain import Draft
from apps.strategies.contents import (
    MAX_AUTHOR,
    MAX_BYTES,
    checked_content,
    checked_message,
    shortened_message,
)
from apps.strategies.errors import RepositoryError
from apps.strategies.git_objects import read_object
from apps.strategies.models import StrategyVersion
from nautilus.api.errors import DomainError

CODE_FILE = b"strategy.py"
PARAMETERS_FILE = b"parameters.json"

# Git asks for an address of every author; this one says that the name is a user's of the platform.
_EMAIL = "nautilus@localhost"
_ENCODINGS = {"utf-8", "utf8", "iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"}
_IDENTITY = re.compile(r"\s*(?P<name>.*?)\s*<(?P<email>[^<>]*)>\s*", re.DOTALL)
_TEXT = re.compile(
    r"(?P<message>.*)\n\nNautilus-Version: (?P<version>[0-9]{1,9})\nNautilus-Hash: (?P<hash>[0-9a-f]{64})"
    r"(?P<silent>\nNautilus-Message: none)?\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class CommittedVersion:
    """What a commit holds of a version; number and hash are those of its trailers, where it has any."""

    draft: Draft
    created_at: datetime
    number: int | None
    hash: str | None


def objects_of(version: StrategyVersion, parents: Iterable[bytes]) -> list[ShaFile]:
    """Files, tree and at last the commit. Times lose their microseconds: Git has seconds."""
    code = Blob.from_string(version.code.encode())
    shown = json.dumps(version.parameters, indent=2, sort_keys=True, ensure_ascii=False)
    parameters = Blob.from_string(f"{shown}\n".encode())
    tree = Tree()
    tree.add(CODE_FILE, stat.S_IFREG | 0o644, code.id)
    tree.add(PARAMETERS_FILE, stat.S_IFREG | 0o644, parameters.id)
    return [code, parameters, tree, _commit(version, tree, parents)]


def _commit(version: StrategyVersion, tree: Tree, parents: Iterable[bytes]) -> Commit:
    commit: Any = Commit()
    commit.tree = tree.id
    commit.parents = list(parents)
    commit.author = commit.committer = _identity(version.author)
    commit.author_time = commit.commit_time = int(version.created_at.timestamp())
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = _text(version).encode()
    return commit


def _text(version: StrategyVersion) -> str:
    """A version without a message gets a subject all the same, as Git takes no trailers for one, and says so."""
    named = f"Nautilus-Version: {version.version}\nNautilus-Hash: {version.hash}\n"
    if version.message:
        return f"{version.message}\n\n{named}"
    return f"Version {version.version}\n\n{named}Nautilus-Message: none\n"


def _identity(author: str) -> bytes:
    """An author who came from Git has an address already."""
    return (author if author.endswith(">") else f"{author} <{_EMAIL}>").encode()


def _author(identity: str) -> str:
    """As it was before `_identity`; from elsewhere with its address, cut to what a version keeps."""
    match = _IDENTITY.fullmatch(identity)
    name, email = (match["name"], match["email"]) if match else (identity, _EMAIL)
    name = re.sub(r"[<>\x00-\x1f\x7f]", "", name).strip() or email or "unknown"
    whole = f"{name} <{email}>"
    return name[:MAX_AUTHOR].strip() if email == _EMAIL or len(whole) > MAX_AUTHOR else whole


def read_commit(repository: Repo, commit: Commit) -> CommittedVersion | None:
    """None where the commit has no strategy.py. Raises RepositoryError, which names the commit."""
    try:
        tree = read_object(repository, commit.tree, Tree)
        code = _file(repository, tree, CODE_FILE)
        return None if code is None else _version(commit, code, _file(repository, tree, PARAMETERS_FILE))
    except (DomainError, ValueError) as error:
        said = error.sentence if isinstance(error, DomainError) else str(error)
        raise RepositoryError(f"Commit {short(commit)}: {said}", "Nothing was imported.") from error


def short(commit: Commit) -> str:
    return commit.id.decode()[:12]


def _file(repository: Repo, tree: Tree, name: bytes) -> str | None:
    if name not in tree:
        return None
    mode, blob_id = tree[name]
    if not stat.S_ISREG(mode):
        raise ValueError(f"{name.decode()} is no ordinary file; expected one.")
    data = read_object(repository, blob_id, Blob).as_raw_string()
    # Indented JSON is longer than canonical; this only bounds what is parsed.
    if len(data) > 10 * MAX_BYTES:
        raise ValueError(f"{name.decode()} has {len(data):,} bytes; expected at most {MAX_BYTES:,}.")
    return data.decode()


def _version(commit: Any, code: str, parameters: str | None) -> CommittedVersion:
    encoding = _encoding(commit)
    text = _decoded(commit.message, encoding)
    trailers = _TEXT.fullmatch(text)
    content = checked_content(code, {} if parameters is None else _parsed(parameters))
    return CommittedVersion(
        Draft(content, _message(text, trailers), _author(_decoded(commit.author, encoding))),
        _time(commit),
        int(trailers["version"]) if trailers else None,
        trailers["hash"] if trailers else None,
    )


def _message(text: str, trailers: re.Match[str] | None) -> str:
    if trailers is None:
        return checked_message(shortened_message(text.replace("\x00", "")))
    return "" if trailers["silent"] else checked_message(trailers["message"])


def _time(commit: Any) -> datetime:
    """A version ahead of the clock would give its time to all that come after it."""
    try:
        time = datetime.fromtimestamp(commit.commit_time, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError(f"its time, {commit.commit_time} s after 1970, is no date: {error}.") from error
    if time > timezone.now():
        raise ValueError(f"its time is {time:%Y-%m-%dT%H:%M:%SZ}, which is to come; expected now or earlier.")
    return time


def _encoding(commit: Any) -> str:
    """Others may be no text at all: Python's `unicode_escape` makes halves of letters that cannot be stored."""
    name = (commit.encoding or b"utf-8").decode("ascii", "replace").lower()
    if name not in _ENCODINGS:
        raise ValueError(f"its text is in {name[:40]!r}; expected {', '.join(sorted(_ENCODINGS))}.")
    return name


def _decoded(data: bytes, encoding: str) -> str:
    return data.decode(encoding, "replace")


def _parsed(parameters: str) -> Any:
    try:
        return json.loads(parameters, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"parameters.json is not JSON: {error}.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"the key '{twice[0]}' is there twice")
    return dict(pairs)
