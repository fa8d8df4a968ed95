"""What the lists show: rows with the numbers of the versions that they name, and without the texts that are long."""

from typing import Any

from django.db.models import Count, F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from apps.strategies.models import DeploymentOrder, MergeRequest, Strategy, StrategyVersion
from nautilus.api.errors import NotFoundError


class MergeRequestNotFoundError(NotFoundError):
    def __init__(self, strategy_id: str, merge_request_id: int) -> None:
        super().__init__(
            f"{strategy_id} has no merge request {merge_request_id}.",
            f"GET /api/v1/sprint3/strategy/versions/{strategy_id}/merge-requests lists them.",
        )


def strategies_as_shown() -> QuerySet[Strategy]:
    open_requests = MergeRequest.objects.filter(status=MergeRequest.Status.OPEN)
    return (
        Strategy.objects.select_related("created_by")
        .annotate(
            head_number=F("head__version"),
            version_count=_count_of(StrategyVersion.objects.all()),
            open_merge_request_count=_count_of(open_requests),
        )
        .order_by("pk")
    )


def _count_of(rows: QuerySet[Any]) -> Coalesce:
    """How many of them a strategy has; by subquery, as two joins would multiply each other's rows."""
    of_it = rows.filter(strategy=OuterRef("pk")).order_by().values("strategy")
    return Coalesce(Subquery(of_it.annotate(count=Count("pk")).values("count")), 0)


def versions_as_shown(strategy_id: str) -> QuerySet[StrategyVersion]:
    """Newest first, without code and parameters: both are read when they are asked for."""
    return (
        StrategyVersion.objects.filter(strategy=strategy_id)
        .annotate(
            parent_number=F("parent__version"),
            merged_number=F("merged_from__version"),
            is_head=Q(strategy__head=F("pk")),
            merge_request_id=F("merge_request"),
        )
        .defer("code", "parameters_text")
        .order_by("-version")
    )


def merge_requests_as_shown(strategy_id: str) -> QuerySet[MergeRequest]:
    """Newest first, without the hunks: they are read when they are asked for."""
    return (
        MergeRequest.objects.filter(strategy=strategy_id)
        .select_related("created_by", "resolved_by")
        .annotate(
            base_number=F("base__version"),
            head_number=F("head__version"),
            branch_number=F("branch__version"),
            result_number=F("result__version"),
            collisions=Func(F("hunks"), function="jsonb_array_length", output_field=IntegerField()),
        )
        .defer("hunks")
        .order_by("-pk")
    )


def get_merge_request(strategy_id: str, merge_request_id: int) -> MergeRequest:
    """Raises MergeRequestNotFoundError."""
    found = merge_requests_as_shown(strategy_id).defer(None).filter(pk=merge_request_id).first()
    if found is None:
        raise MergeRequestNotFoundError(strategy_id, merge_request_id)
    return found


def orders_as_shown(deployment_id: str) -> QuerySet[DeploymentOrder]:
    """Newest first."""
    return DeploymentOrder.objects.filter(deployment=deployment_id).select_related("run", "trade").order_by("-pk")
