"""One merge request: what collides, base, head and branch beside each other, and two ways to end it."""

import json
from dataclasses import dataclass
from typing import Any

from django.utils.functional import SimpleLazyObject

from apps.dashboard.pages.page import Page
from apps.strategies.access import get_strategy
from apps.strategies.api.queries import get_merge_request
from apps.strategies.models import MergeRequest, StrategyVersion
from apps.strategies.showing.drafts import BASE_MARK, BRANCH_MARK, HEAD_MARK, draft_code, draft_parameters
from apps.strategies.showing.hunks import shown_hunks

MARKS = (HEAD_MARK, BASE_MARK, BRANCH_MARK)


@dataclass(frozen=True, slots=True)
class ByHand:
    """What somebody who writes by hand begins with: what merged cleanly, and marks around what did not."""

    code: str
    parameters: str


class MergeRequestPage(Page):
    entry = "strategies"
    roles = ("viewer",)
    template_name = "dashboard/merge_request.html"
    fragments = {"hunks": "dashboard/strategies/hunks.html"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        strategy = get_strategy(self.kwargs["strategy_id"])
        merge = get_merge_request(strategy.pk, self.kwargs["merge_request_id"])
        return super().get_context_data(**kwargs) | {
            "title": f"Merge request {merge.pk} of {strategy.pk}",
            "strategy": strategy,
            "merge": merge,
            "is_open": merge.status == MergeRequest.Status.OPEN,
            "hunks": SimpleLazyObject(lambda: shown_hunks(merge.hunks)),
            "by_hand": SimpleLazyObject(lambda: _by_hand(merge)),
            "marks": MARKS,
        }


def _by_hand(merge: MergeRequest) -> ByHand:
    sides: tuple[StrategyVersion, ...] = (merge.base, merge.head, merge.branch)
    parameters = draft_parameters(*(side.parameters for side in sides))
    code = draft_code(*(side.code for side in sides))
    return ByHand(code, json.dumps(parameters, indent=2, sort_keys=True, ensure_ascii=False))
