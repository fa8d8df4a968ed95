"""A strategy's whole history as a Git repository, and back, with every name (hash) kept."""

import heapq
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction
from dulwich.errors import NotGitRepository
from dulwich.objects import Commit, ShaFile
from dulwich.repo import Repo

from apps.strategies.ancestry import Ancestry, ancestry_of
from apps.strategies.chain import add_version, lock_strategy
from apps.strategies.errors import HistoryBrokenError, RepositoryError
from apps.strategies.git_commits import CODE_FILE, CommittedVersion, objects_of, read_commit, short
from apps.strategies.git_objects import read_object
from apps.strategies.hashing import hash_of
from apps.strategies.merges import merge_with_head, open_request
from apps.strategies.models import Strategy, StrategyVersion
from apps.strategies.strategies import create_strategy

MAIN = b"refs/heads/main"
_BRANCHES = b"refs/heads/"
_VERSIONS_A_PACK = 200  # of up to 200 kB each in memory


@dataclass(frozen=True, slots=True)
class Exported:
    """How many commits, and which branches beside `main`."""

    versions: int
    branches: list[str]


def export_repository(strategy_id: str, path: Path | str) -> Exported:
    """Writes a repository with a commit for each version into `path`, which is new or an empty folder.

    `main` is the head, `version-N` each version that is not merged; the parents are `parent` and `merged_from`. The
    files of `main` are checked out. Raises StrategyNotFoundError, RepositoryError, HistoryBrokenError and OSError, and
    leaves nothing at `path`.
    """
    target = Path(path).absolute()
    _refuse_target(target)
    with transaction.atomic():  # held while the graph is read: rows that are there do not change any more
        head_id = lock_strategy(strategy_id).head_id
        ancestry = ancestry_of(strategy_id)
    if head_id is None:
        raise RepositoryError(f"{strategy_id} has no version.", "Post one first.")
    return _write(target, ancestry, head_id)


def _refuse_target(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RepositoryError(f"{target} is there already.", "Name a folder that is new or empty.", "path")
    if not target.parent.is_dir():
        raise RepositoryError(f"There is no folder {target.parent}.", "Make it first.", "path")


def _write(target: Path, ancestry: Ancestry, head_id: int) -> Exported:
    """Beside the target first: what fails half-way is no repository."""
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        folder.chmod(0o755)
        with Repo.init(folder, default_branch=b"main") as repository:
            branches = _fill(repository, ancestry, head_id)
        folder.replace(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Exported(len(ancestry.nodes), branches)


def _fill(repository: Repo, ancestry: Ancestry, head_id: int) -> list[str]:
    commits = _add_commits(repository, ancestry)
    merged = ancestry.ancestors(head_id)
    beside = [node for pk, node in sorted(ancestry.nodes.items()) if pk not in merged]
    refs: Any = repository.refs
    for node in beside:
        refs[_BRANCHES + _branch(node.version).encode()] = commits[node.id]
    refs[MAIN] = commits[head_id]
    repository.get_worktree().reset_index()
    return [_branch(node.version) for node in beside]


def _branch(version: int) -> str:
    return f"version-{version}"


def _add_commits(repository: Repo, ancestry: Ancestry) -> dict[int, bytes]:
    """Commit ids by version id. In the order of the ids parents come first."""
    commits: dict[int, bytes] = {}
    ids = sorted(ancestry.nodes)
    for start in range(0, len(ids), _VERSIONS_A_PACK):
        rows = StrategyVersion.objects.filter(pk__in=ids[start : start + _VERSIONS_A_PACK]).order_by("pk")
        objects = [each for row in rows for each in _objects(row, ancestry, commits)]
        repository.object_store.add_objects([(each, None) for each in objects])
    return commits


def _objects(row: StrategyVersion, ancestry: Ancestry, commits: dict[int, bytes]) -> list[ShaFile]:
    parents = [pk for pk in (row.parent_id, row.merged_from_id) if pk is not None]
    _check(row, ancestry, commits, parents)
    objects = objects_of(row, [commits[pk] for pk in parents])
    commits[row.pk] = objects[-1].id
    return objects


def _check(row: StrategyVersion, ancestry: Ancestry, commits: dict[int, bytes], parents: list[int]) -> None:
    hashes = [
        ancestry.nodes[pk].hash if pk in ancestry.nodes else None
        for pk in (row.parent_id or 0, row.merged_from_id or 0)
    ]
    if not all(pk in commits for pk in parents) or row.hash != hash_of(row, *hashes):
        raise HistoryBrokenError(
            f"{row} is not what its hash says; it was not exported.",
            f"POST /api/v1/sprint3/strategy/versions/{row.strategy_id}/rebuild-history says more.",
        )


def import_repository(path: Path | str, strategy_id: str | None = None, user: Any = None) -> Strategy:
    """A strategy with a version for each commit that has a strategy.py; `parameters.json` may be missing: {}.

    `main` (or `master`) becomes the main line, by first parents. Every other branch that is not merged into it becomes
    a merge request. Commits with trailers must have the hash that they name. `strategy_id` is of a new strategy or one
    without versions; left out, it is the next STRATEGY_nnn. All or nothing. A new strategy is there, empty, while its
    history is read: others who begin one do not wait for that.

    Raises RepositoryError, BadStrategyIdError.
    """
    source = Path(path).absolute()
    try:
        repository = Repo(str(source))
    except NotGitRepository as error:
        raise RepositoryError(f"There is no Git repository at {source}.", "Name its folder.", "path") from error
    with repository, _strategy_for(strategy_id, source.name, user) as name, transaction.atomic():
        strategy = _empty_strategy(name)
        _read(strategy, repository, user)
    return strategy


@contextmanager
def _strategy_for(strategy_id: str | None, name: str, user: Any) -> Iterator[str]:
    """Its id; one that is made for the import, in a transaction of its own, is gone where the import fails."""
    if strategy_id is not None and Strategy.objects.filter(pk=strategy_id).exists():
        yield strategy_id
        return
    made = create_strategy(name=name[:200], strategy_id=strategy_id, user=user)
    try:
        yield made.pk
    except BaseException:
        Strategy.objects.filter(pk=made.pk, versions=None).delete()
        raise


def _empty_strategy(strategy_id: str) -> Strategy:
    strategy = lock_strategy(strategy_id)
    if count := strategy.versions.count():
        raise RepositoryError(
            f"{strategy_id} has {count} version(s) already.", "Import under another id.", "strategy_id"
        )
    return strategy


def _read(strategy: Strategy, repository: Repo, user: Any) -> None:
    tips = _tips(repository)
    versions: dict[bytes, StrategyVersion | None] = {}
    for commit, read in _in_order(repository, list(tips.values())):
        versions[commit.id] = _add(strategy, commit, read, versions, user)
    main = tips.get(MAIN) or tips[_BRANCHES + b"master"]
    _set_head(strategy, versions[main])
    for tip in dict.fromkeys(tips.values()):
        _request(strategy, versions[tip], user)


def _tips(repository: Repo) -> dict[bytes, bytes]:
    """Commit id by branch."""
    refs: Any = repository.get_refs()
    tips = {name: tip for name, tip in sorted(refs.items()) if name.startswith(_BRANCHES)}
    if not {MAIN, _BRANCHES + b"master"} & set(tips):
        names = ", ".join(name.removeprefix(_BRANCHES).decode(errors="replace") for name in tips) or "none"
        raise RepositoryError(f"There is no branch `main` or `master`; there are: {names}.", "Rename one to `main`.")
    return tips


def _in_order(repository: Repo, tips: list[bytes]) -> Iterator[tuple[Commit, CommittedVersion | None]]:
    """Parents first; of those that could come next the oldest, and of one second the lowest number."""
    commits = _commits(repository, tips)
    waits_for = {pk: len(set(commit.parents)) for pk, commit in commits.items()}
    children: dict[bytes, list[bytes]] = {}
    for pk, commit in commits.items():
        for parent in set(commit.parents):
            children.setdefault(parent, []).append(pk)
    ready = [_place(repository, commit) for pk, commit in commits.items() if not waits_for[pk]]
    heapq.heapify(ready)
    while ready:
        *_, pk, read = heapq.heappop(ready)
        yield commits[pk], read
        for child in children.get(pk, []):
            waits_for[child] -= 1
            if not waits_for[child]:
                heapq.heappush(ready, _place(repository, commits[child]))


def _commits(repository: Repo, tips: list[bytes]) -> dict[bytes, Commit]:
    """All that the tips come from."""
    commits: dict[bytes, Commit] = {}
    waiting = list(tips)
    while waiting:
        pk = waiting.pop()
        if pk not in commits:
            commits[pk] = _commit(repository, pk)
            waiting += commits[pk].parents
    return commits


def _commit(repository: Repo, pk: Any) -> Commit:
    try:
        return read_object(repository, pk, Commit)
    except ValueError as error:
        raise RepositoryError(f"Commit {pk.decode()[:12]}: {error}", "Nothing was imported.") from error


def _place(repository: Repo, commit: Commit) -> tuple[int, int, bytes, CommittedVersion | None]:
    read = read_commit(repository, commit)
    number = read.number if read and read.number else 10**9
    return commit.commit_time, number, commit.id, read


def _add(
    strategy: Strategy,
    commit: Commit,
    read: CommittedVersion | None,
    versions: dict[bytes, StrategyVersion | None],
    user: Any,
) -> StrategyVersion | None:
    """The version of a commit, said to be beside the main line until the head is known; None for one of no version."""
    parents = [found for pk in commit.parents if (found := versions[pk]) is not None]
    if read is None and not parents:
        return None
    if read is None or len(parents) > 2:
        has = f"no {CODE_FILE.decode()}, and its parent has" if read is None else f"{len(parents)} parents"
        raise RepositoryError(f"Commit {short(commit)} has {has}.", "Expected a strategy.py, and at most two parents.")
    parent, merged_from = [*parents, None, None][:2]
    return _known(strategy, commit, read, parent, merged_from) or add_version(
        strategy,
        read.draft,
        parent=parent,
        merged_from=merged_from,
        canonical=False,
        user=user,
        created_at=read.created_at,
    )


def _known(
    strategy: Strategy,
    commit: Commit,
    read: CommittedVersion,
    parent: StrategyVersion | None,
    merged_from: StrategyVersion | None,
) -> StrategyVersion | None:
    """The version that a second commit of the same content on the same parents is; refuses what is no version."""
    name = read.draft.hash_on(parent, merged_from)
    if read.hash not in (None, name):
        raise RepositoryError(
            f"Commit {short(commit)} says Nautilus-Hash: {read.hash}; its content, parents and author make {name}.",
            "It was changed after its export; take the trailers out of the message of what was edited by hand.",
        )
    known = strategy.versions.filter(hash=name).order_by("pk").first()
    if known is None and parent is None and strategy.versions.exists():
        raise RepositoryError(f"Commit {short(commit)} is a second beginning.", "Expected one commit without a parent.")
    return known


def _set_head(strategy: Strategy, head: StrategyVersion | None) -> None:
    if head is None:
        raise RepositoryError(f"The main branch has no {CODE_FILE.decode()}.", "Commit one at the top of the tree.")
    main_line = [node.id for node in ancestry_of(strategy.pk).main_line(head.pk)]
    strategy.versions.filter(pk__in=main_line).update(canonical=True)
    strategy.head = head
    strategy.save(update_fields=["head"])


def _request(strategy: Strategy, tip: StrategyVersion | None, user: Any) -> None:
    """Asks for a word on a branch that is not merged, whether it collides or not: the history stays as Git has it."""
    if tip is not None and tip.pk not in ancestry_of(strategy.pk).ancestors(strategy.head_id):
        open_request(strategy, tip, *merge_with_head(strategy, tip), user)
