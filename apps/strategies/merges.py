"""Versions that come onto the main line from beside it: merged with the head, or waiting for somebody's word."""

from typing import Any

from django.utils import timezone

from apps.strategies.ancestry import ancestry_of
from apps.strategies.chain import Draft, add_version
from apps.strategies.content_merging import MergedContent, merge_contents
from apps.strategies.contents import content_of, shortened_message
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion


def bring_in(strategy: Strategy, branch: StrategyVersion, user: Any) -> StrategyVersion | MergeRequest:
    """The new head, with the branch merged in; or the open request, where it collides with the head.

    Expects the strategy's row held.
    """
    base, merged = merge_with_head(strategy, branch)
    if merged.content is None:
        return open_request(strategy, branch, base, merged, user)
    message = shortened_message(f"Merge of {branch.hash[:12]}: {branch.message}")
    return take_in(strategy, branch, Draft(merged.content, message, branch.author), user)


def merge_with_head(strategy: Strategy, branch: StrategyVersion) -> tuple[StrategyVersion, MergedContent]:
    """The nearest version that both come from, and what the merge gives."""
    head = head_of(strategy)
    base = StrategyVersion.objects.get(pk=ancestry_of(strategy.pk).base_of(head.pk, branch.pk))
    return base, merge_contents(content_of(base), content_of(head), content_of(branch))


def head_of(strategy: Strategy) -> StrategyVersion:
    if strategy.head is None:
        raise RuntimeError(f"{strategy.pk} has versions beside the main line and no head; expected a head")
    return strategy.head


def open_request(
    strategy: Strategy, branch: StrategyVersion, base: StrategyVersion, merged: MergedContent, user: Any
) -> MergeRequest:
    return MergeRequest.objects.create(
        strategy=strategy, base=base, head=head_of(strategy), branch=branch, hunks=merged.hunks, created_by=user
    )


def take_in(strategy: Strategy, branch: StrategyVersion, draft: Draft, user: Any) -> StrategyVersion:
    """The new head: the draft, as a merge of the branch into the head of now."""
    merge = add_version(strategy, draft, parent=head_of(strategy), merged_from=branch, canonical=True, user=user)
    _end_requests_behind(strategy, merge, branch, user)
    return merge


def _end_requests_behind(strategy: Strategy, merge: StrategyVersion, branch: StrategyVersion, user: Any) -> None:
    """Ends the requests of what the branch went on from: who posted it said what holds of them."""
    contained = ancestry_of(strategy.pk).ancestors(branch.parent_id)
    end_requests(strategy.merge_requests.filter(branch_id__in=contained), merge, MergeRequest.Resolution.MANUAL, user)


def end_requests(requests: Any, result: StrategyVersion, resolution: str, user: Any) -> int:
    return requests.filter(status=MergeRequest.Status.OPEN).update(
        status=MergeRequest.Status.RESOLVED,
        resolution=resolution,
        result=result,
        resolved_at=timezone.now(),
        resolved_by=user,
    )
