"""Whether a strategy's history is what its hashes say; mended is only what they do not cover."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F

from apps.strategies.access import visible_deployments
from apps.strategies.ancestry import Ancestry, Node, ancestry_of
from apps.strategies.chain import lock_strategy
from apps.strategies.errors import HistoryBrokenError
from apps.strategies.hashing import hash_of
from apps.strategies.models import Deployment, Strategy, StrategyVersion

_CONTENTS_AT_ONCE = 200  # of up to 200 kB each


@dataclass(frozen=True, slots=True)
class Problem:
    version: int | None
    code: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return {"version": self.version, "code": self.code, "detail": self.detail}


def check_version(version: StrategyVersion) -> None:
    """That the version, and all that it comes from, are what their hashes say.

    Raises HistoryBrokenError with the first that is not.
    """
    ancestry = ancestry_of(version.strategy_id)
    contained = {pk: ancestry.nodes[pk] for pk in ancestry.ancestors(version.pk)}
    problems = [*_relation_problems(ancestry, contained.values()), *_hash_problems(ancestry, contained)]
    if problems:
        raise HistoryBrokenError(
            f"{version.strategy_id} version {version.version} rests on a changed history. {problems[0].detail}",
            f"POST /api/v1/sprint3/strategy/versions/{version.strategy_id}/rebuild-history lists all that is wrong.",
        )


def rebuild_version_history(strategy_id: str, user: Any = None) -> dict[str, Any]:
    """Verifies all, numbers the versions by creation from 1, and mends which are of the main line, where the head is
    sound. Deployments on portfolios that `user` may not see are counted, not named; None sees all.

    Answers {"strategy_id", "versions": how many, "valid": no problem was found, "renumbered": [{"from", "to", "hash"}],
    "canonical_mended": [number after], "problems": [{"version": number after or None, "code", "detail"}]}.
    Raises StrategyNotFoundError.
    """
    with transaction.atomic():
        strategy = lock_strategy(strategy_id)
        renumbered = _renumber(ancestry_of(strategy_id))
        ancestry = ancestry_of(strategy_id)
        head_problems = list(_head_problems(strategy, ancestry))
        mended = [] if head_problems else _mend_canonical(strategy, ancestry)
    # What is hashed is never changed: nobody who posts waits for it.
    problems = [*_problems(strategy, ancestry, user), *head_problems]
    return {
        "strategy_id": strategy_id,
        "versions": len(ancestry.nodes),
        "valid": not problems,
        "renumbered": renumbered,
        "canonical_mended": mended,
        "problems": [problem.as_dict() for problem in problems],
    }


def _renumber(ancestry: Ancestry) -> list[dict[str, Any]]:
    in_order = sorted(ancestry.nodes.values(), key=lambda node: (node.created_at, node.id))
    moved = [(node, number) for number, node in enumerate(in_order, start=1) if node.version != number]
    StrategyVersion.objects.bulk_update(
        [StrategyVersion(pk=node.id, version=number) for node, number in moved], ["version"], batch_size=1_000
    )
    return [{"from": node.version, "to": number, "hash": node.hash} for node, number in moved]


def _problems(strategy: Strategy, ancestry: Ancestry, user: Any) -> Iterator[Problem]:
    yield from _root_problems(ancestry)
    yield from _relation_problems(ancestry, ancestry.nodes.values())
    yield from _hash_problems(ancestry, ancestry.nodes)
    yield from _deployment_problems(strategy, user)


def _root_problems(ancestry: Ancestry) -> Iterator[Problem]:
    roots = [node.version for node in ancestry.nodes.values() if node.parent_id is None]
    if ancestry.nodes and len(roots) != 1:
        yield Problem(None, "roots", f"{len(roots)} versions have no parent ({sorted(roots)}); expected one.")


def _relation_problems(ancestry: Ancestry, nodes: Iterable[Node]) -> Iterator[Problem]:
    for node in nodes:
        for name, pk in (("parent", node.parent_id), ("merged_from", node.merged_from_id)):
            if pk is not None:
                yield from _relation_problem(node, name, ancestry.nodes.get(pk))


def _relation_problem(node: Node, name: str, other: Node | None) -> Iterator[Problem]:
    if other is None:
        detail = f"Version {node.version} has as its {name} a version of another strategy."
        yield Problem(node.version, f"{name}_foreign", detail)
    elif (other.created_at, other.id) > (node.created_at, node.id):
        detail = f"Version {node.version} was created before version {other.version}, its {name}."
        yield Problem(node.version, f"{name}_is_younger", detail)


def _hash_problems(ancestry: Ancestry, ids: Collection[int]) -> Iterator[Problem]:
    """The hashes by the content, with the hashes that the parents' rows have: who changes one row has to change all."""
    for row in _rows(sorted(ids, key=lambda pk: ancestry.nodes[pk].version)):
        node = ancestry.nodes[row.pk]
        hashes = [_hash(ancestry, pk) for pk in (node.parent_id, node.merged_from_id)]
        expected = hash_of(row, *hashes)
        if node.hash != expected:
            detail = (
                f"Version {node.version} is named {node.hash}, and its content, parents and author make {expected}."
            )
            yield Problem(node.version, "hash_mismatch", detail)


def _rows(ids: Sequence[int]) -> Iterator[StrategyVersion]:
    """In this order."""
    for start in range(0, len(ids), _CONTENTS_AT_ONCE):
        some = ids[start : start + _CONTENTS_AT_ONCE]
        rows = StrategyVersion.objects.in_bulk(some)
        yield from (rows[pk] for pk in some)


def _hash(ancestry: Ancestry, version_id: int | None) -> str | None:
    node = ancestry.nodes.get(version_id or 0)
    return node.hash if node else None


def _head_problems(strategy: Strategy, ancestry: Ancestry) -> Iterator[Problem]:
    head = ancestry.nodes.get(strategy.head_id or 0)
    if head is None:
        if ancestry.nodes or strategy.head_id:
            yield Problem(None, "head_missing", f"The head of {strategy.pk} is none of its versions.")
        return
    beyond = [node.version for node in ancestry.nodes.values() if node.canonical and node.parent_id == head.id]
    if beyond:
        detail = f"Version {head.version} is the head, and version {beyond[0]} goes on from it on the main line."
        yield Problem(head.version, "head_behind", detail)


def _deployment_problems(strategy: Strategy, user: Any) -> Iterator[Problem]:
    wrong = Deployment.objects.filter(strategy=strategy).exclude(version_hash=F("version__hash"))
    seen = wrong if user is None else wrong.filter(pk__in=visible_deployments(user).values("pk"))
    for deployment in seen.select_related("version").order_by("pk"):
        detail = f"{deployment.pk} was asked for with {deployment.version_hash}, and its version is named "
        yield Problem(deployment.version.version, "deployment_hash", f"{detail}{deployment.version.hash} now.")
    if hidden := wrong.count() - seen.count():
        detail = f"{hidden} deployment(s) on portfolios that you may not see were asked for under another hash."
        yield Problem(None, "deployment_hash", detail)


def _mend_canonical(strategy: Strategy, ancestry: Ancestry) -> list[int]:
    """The head and its chain of parents are the main line, all others are beside it."""
    main_line = {node.id for node in ancestry.main_line(strategy.head_id)}
    wrong = [node for node in ancestry.nodes.values() if node.canonical != (node.id in main_line)]
    StrategyVersion.objects.filter(pk__in=[node.id for node in wrong]).update(canonical=~F("canonical"))
    return sorted(node.version for node in wrong)
