"""Versions as strategists post them: each names the version that it goes on from, and none is lost."""

from typing import Any

from django.db import transaction

from apps.strategies.chain import Draft, add_version, lock_strategy
from apps.strategies.contents import Content, author_of, checked_content, checked_message, content_of
from apps.strategies.errors import (
    MergeConflictError,
    NothingChangedError,
    ParentNeededError,
    UnknownParentError,
    VersionNotFoundError,
)
from apps.strategies.merges import bring_in
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion

LARGEST_VERSION = 2**31 - 1  # of a PositiveIntegerField


def get_version(strategy_id: str, version: int) -> StrategyVersion:
    """Raises VersionNotFoundError."""
    known = StrategyVersion.objects.filter(strategy_id=strategy_id, version=version).order_by("pk")
    found = known.first() if 1 <= version <= LARGEST_VERSION else None
    if found is None:
        raise VersionNotFoundError(strategy_id, version)
    return found


def post_version(
    strategy_id: str,
    *,
    parent_version: int | None,
    code: str,
    parameters: dict[str, Any],
    message: str = "",
    user: Any = None,
    author: str | None = None,
) -> StrategyVersion:
    """The new head: the version itself, or where its parent is the head no more, the clean merge of both.

    Posted again with the same content, parent and author, it answers with what the first time has come to.

    Raises MergeConflictError once both the version and its merge request are stored: whoever calls this in a
    transaction catches it inside. Raises ParentNeededError, UnknownParentError, NothingChangedError, BadCodeError,
    BadParametersError, BadMessageError and BadAuthorError, and stores nothing.
    """
    draft = Draft(checked_content(code, parameters), checked_message(message), author_of(user, author))
    with transaction.atomic():
        placed = _place(lock_strategy(strategy_id), parent_version, draft, user)
    if isinstance(placed, MergeRequest):
        raise _conflict(placed)
    return placed


def _place(strategy: Strategy, parent_version: int | None, draft: Draft, user: Any) -> StrategyVersion | MergeRequest:
    parent = _parent(strategy, parent_version)
    known = strategy.versions.filter(hash=draft.hash_on(parent)).order_by("pk").first()
    if known is not None:
        return _outcome(known)
    _refuse_as_child(strategy, parent, draft.content)
    is_on_head = parent is None or parent.pk == strategy.head_id
    posted = add_version(strategy, draft, parent=parent, canonical=is_on_head, user=user)
    return posted if is_on_head else bring_in(strategy, posted, user)


def _parent(strategy: Strategy, parent_version: int | None) -> StrategyVersion | None:
    if parent_version is None:
        return None
    try:
        return get_version(strategy.pk, parent_version)
    except VersionNotFoundError as error:
        expected = f"{strategy.head.version}, its newest" if strategy.head else "null: it has none"
        raise UnknownParentError(
            error.detail, f"Expected a version of it, such as {expected}.", "parent_version"
        ) from error


def _refuse_as_child(strategy: Strategy, parent: StrategyVersion | None, content: Content) -> None:
    if parent is None and strategy.head is not None:
        raise ParentNeededError(
            f"{strategy.pk} has versions already, and none is given as the parent.",
            f"Name the one that you went on from: {strategy.head.version} is the newest.",
            "parent_version",
        )
    if parent is not None and content == content_of(parent):
        raise NothingChangedError(
            f"Code and parameters are those of version {parent.version}, the parent.", "Change one of them.", "code"
        )


def _outcome(version: StrategyVersion) -> StrategyVersion | MergeRequest:
    """What a version that was posted before has come to."""
    request = MergeRequest.objects.filter(branch=version).select_related("result", "branch", "head").first()
    if version.canonical or request is None:
        return version if version.canonical else version.merged_into.order_by("pk").first() or version
    return request.result or request


def _conflict(request: MergeRequest) -> MergeConflictError:
    branch, head = request.branch.version, request.head.version
    count = len(request.hunks)
    return MergeConflictError(
        request.strategy_id,
        request.pk,
        f"Version {branch} collides with version {head}, which was posted before it, in "
        f"{count} {'place' if count == 1 else 'places'}.",
    )
