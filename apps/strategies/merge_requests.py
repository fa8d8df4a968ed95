"""Merge requests, and how somebody ends them."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.strategies.chain import Draft, lock_strategy
from apps.strategies.content_merging import merge_contents
from apps.strategies.contents import (
    Content,
    author_of,
    checked_code,
    checked_message,
    checked_parameters,
    content_of,
)
from apps.strategies.errors import (
    BadResolutionError,
    HeadMovedError,
    NoMergeRequestError,
    ResolutionIncompleteError,
    SeveralMergeRequestsError,
)
from apps.strategies.merges import end_requests, head_of, merge_with_head, take_in
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion

LATEST, MANUAL = MergeRequest.Resolution.LATEST, MergeRequest.Resolution.MANUAL


@dataclass(frozen=True, slots=True)
class _Answer:
    """What somebody says that holds; None stands for what merged cleanly."""

    resolution: str
    code: str | None
    parameters_text: str | None
    message: str
    author: str
    user: Any


def resolve_version_conflict(
    strategy_id: str,
    conflict_resolution: str,
    *,
    merge_request_id: int | None = None,
    code: str | None = None,
    parameters: dict[str, Any] | None = None,
    message: str = "",
    user: Any = None,
) -> StrategyVersion:
    """The new head, which ends the request; without `merge_request_id` of the only open one.

    "latest": the version that was posted last holds as a whole, over whatever the main line has. "manual": `code` and
    `parameters` hold; left out, the merged ones do, where they merged cleanly. They go on from the head that the
    request names: where the main line has moved since, they are merged with the new head.

    Raises HeadMovedError where that collides, once the request is stored with the new head and its hunks: whoever calls
    this in a transaction catches it inside. Raises NoMergeRequestError, SeveralMergeRequestsError,
    ResolutionIncompleteError, BadResolutionError, BadCodeError, BadParametersError, BadMessageError; nothing is stored.
    """
    _check_resolution(conflict_resolution, code, parameters)
    answer = _Answer(
        conflict_resolution,
        None if code is None else checked_code(code),
        None if parameters is None else checked_parameters(parameters),
        checked_message(message),
        author_of(user, None),
        user,
    )
    with transaction.atomic():
        strategy = lock_strategy(strategy_id)
        outcome = _resolve(strategy, _open_request(strategy, merge_request_id), answer)
    if isinstance(outcome, HeadMovedError):
        raise outcome
    return outcome


def _check_resolution(resolution: str, code: str | None, parameters: dict[str, Any] | None) -> None:
    if resolution not in (LATEST, MANUAL):
        raise BadResolutionError(
            f"'{str(resolution)[:40]}' ends no conflict.", 'Expected "latest" or "manual".', "conflict_resolution"
        )
    given = [name for name, value in (("code", code), ("parameters", parameters)) if value is not None]
    if resolution == LATEST and given:
        raise BadResolutionError(
            f'"latest" takes the version as it was posted, and {" and ".join(given)} came with it.',
            'Leave that out, or say "manual".',
            "conflict_resolution",
        )


def _open_request(strategy: Strategy, merge_request_id: int | None) -> MergeRequest:
    requests = strategy.merge_requests.select_related("base", "head", "branch", "result")
    if merge_request_id is None:
        return _only_open(strategy, requests)
    request = requests.filter(pk=merge_request_id).first()
    if request is None:
        raise NoMergeRequestError(f"{strategy.pk} has no merge request {merge_request_id}.", _open_ones(strategy))
    if request.status != MergeRequest.Status.OPEN:
        raise NoMergeRequestError(_ended(request), _open_ones(strategy))
    return request


def _only_open(strategy: Strategy, requests: Any) -> MergeRequest:
    still_open = requests.filter(status=MergeRequest.Status.OPEN)
    waiting = list(still_open[:2])
    if len(waiting) > 1:
        raise SeveralMergeRequestsError(
            f"{strategy.pk} has {still_open.count()} open merge requests.", _open_ones(strategy), "merge_request_id"
        )
    if not waiting:
        last = requests.order_by("-resolved_at").first()
        ended = f" {_ended(last)}" if last else ""
        raise NoMergeRequestError(f"{strategy.pk} has no open merge request.{ended}")
    return waiting[0]


def _ended(request: MergeRequest) -> str:
    result = request.result.version if request.result else None
    at = f"{request.resolved_at:%Y-%m-%dT%H:%M:%SZ}"
    return f"Merge request {request.pk} was resolved ({request.resolution}) at {at}: version {result} came of it."


def _open_ones(strategy: Strategy) -> str:
    """At most twenty are named: fifty writers may have made as many."""
    waiting = strategy.merge_requests.filter(status=MergeRequest.Status.OPEN).order_by("id")
    ids = [str(pk) for pk in waiting.values_list("pk", flat=True)[:20]]
    return f"Open, as merge_request_id: {', '.join(ids)}." if ids else "None is open."


def _resolve(strategy: Strategy, request: MergeRequest, answer: _Answer) -> StrategyVersion | HeadMovedError:
    branch = content_of(request.branch)
    content = branch if answer.resolution == LATEST else _on_head(strategy, request, answer)
    if content is None:
        return _renew(strategy, request)
    message = answer.message or f"Conflict of {request.branch.hash[:12]} resolved: {answer.resolution}"
    result = take_in(strategy, request.branch, Draft(content, message, answer.author), answer.user)
    end_requests(strategy.merge_requests.filter(pk=request.pk), result, answer.resolution, answer.user)
    return result


def _on_head(strategy: Strategy, request: MergeRequest, answer: _Answer) -> Content | None:
    """What the answer comes to on the head of now; None where they collide. The head of then is the base."""
    base = content_of(request.head)
    return merge_contents(base, content_of(head_of(strategy)), _whole(request, answer)).content


def _whole(request: MergeRequest, answer: _Answer) -> Content:
    sides = (request.base, request.head, request.branch)
    merged = merge_contents(*(content_of(side) for side in sides))
    code = merged.code if answer.code is None else answer.code
    text = merged.parameters_text if answer.parameters_text is None else answer.parameters_text
    if code is None or text is None:
        name = "code" if code is None else "parameters"
        places = sum(hunk["kind"] == name for hunk in merged.hunks)
        raise ResolutionIncompleteError(
            f"Merge request {request.pk} collides in {places} place(s) of the {name}, and none came with the answer.",
            f"Send as `{name}` the whole that holds.",
            name,
        )
    return Content(code, text)


def _renew(strategy: Strategy, request: MergeRequest) -> HeadMovedError:
    before, head = request.head, head_of(strategy)
    request.base, merged = merge_with_head(strategy, request.branch)
    request.head, request.hunks = head, merged.hunks
    request.save(update_fields=["base", "head", "hunks"])
    return HeadMovedError(
        f"Version {head.version} is the head now, no longer {before.version}, and collides with what was sent.",
        f"Read merge request {request.pk} again: its hunks are against version {head.version} now. Send what holds "
        "with that.",
        "code",
    )
