"""409 for what was refused and yet written: the request that waits for somebody to say what holds.

It is an answer, not an exception: with an `Idempotency-Key` an exception would take back what was written.
"""

from rest_framework.response import Response

from apps.strategies.errors import MergeConflictError
from nautilus.api.errors import ConflictError


def merge_request_path(strategy_id: str, merge_request_id: int) -> str:
    return f"/api/v1/sprint3/strategy/versions/{strategy_id}/merge-requests/{merge_request_id}"


def conflict_kept(strategy_id: str, error: MergeConflictError) -> Response:
    """Where the merge request is, in the body and as `Location`."""
    answer = conflict_told(error)
    answer.data["merge_request_id"] = error.merge_request_id
    answer.headers["Location"] = merge_request_path(strategy_id, error.merge_request_id)
    return answer


def conflict_told(error: ConflictError) -> Response:
    """In the shape of every error."""
    told = {"code": error.code, "detail": error.sentence, "attr": None}
    return Response({"type": "client_error", "errors": [told]}, status=error.status)
