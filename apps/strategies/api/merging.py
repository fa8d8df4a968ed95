"""`/strategy/versions/{strategy_id}/merge-requests` and `…/resolve`."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.strategies.access import get_strategy
from apps.strategies.api.conflicts import conflict_told
from apps.strategies.api.queries import get_merge_request, merge_requests_as_shown
from apps.strategies.api.versions import version_made
from apps.strategies.errors import HeadMovedError, NoMergeRequestError, SeveralMergeRequestsError
from apps.strategies.merge_requests import resolve_version_conflict
from apps.strategies.models import MergeRequest
from apps.strategies.serializers.merging import (
    MergeRequestListSerializer,
    MergeRequestSerializer,
    ResolveConflictSerializer,
)
from apps.strategies.serializers.refusals import refused_with
from apps.strategies.serializers.versions import StrategyVersionSerializer
from nautilus.api.access import Strategist, Viewer
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView


class MergeRequestsView(ListModelMixin, ApiView):
    roles = {"GET": Viewer}
    serializer_class = MergeRequestListSerializer
    filterset_fields = ["status"]
    ordering_fields = ["created_at", "resolved_at"]
    queryset = MergeRequest.objects.none()

    def get_queryset(self) -> QuerySet[MergeRequest]:
        return merge_requests_as_shown(get_strategy(self.kwargs["strategy_id"]).pk)

    def get(self, request: Request, strategy_id: str) -> Response:
        """Merge requests of a strategy, newest first, without what collides; `status=open` for those that wait."""
        return self.list(request)


class MergeRequestView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = MergeRequestSerializer
    queryset = MergeRequest.objects.none()

    def get(self, request: Request, strategy_id: str, merge_request_id: int) -> Response:
        """One merge request, with the lines and parameters that collide."""
        refuse_unknown_parameters(request, {"format"})
        found = get_merge_request(get_strategy(strategy_id).pk, merge_request_id)
        return Response(MergeRequestSerializer(found).data)


class ResolveView(ApiView):
    roles = {"POST": Strategist}
    serializer_class = ResolveConflictSerializer

    @extend_schema(
        responses={
            201: StrategyVersionSerializer,
            409: refused_with(HeadMovedError, NoMergeRequestError, SeveralMergeRequestsError),
        }
    )
    def post(self, request: Request, strategy_id: str) -> Response:
        """End a merge request: its answer is the version that holds now."""
        try:
            version = resolve_version_conflict(strategy_id, user=request.user, **self.validated(request))
        except HeadMovedError as conflict:  # the merge request was renewed for the head of now
            return conflict_told(conflict)
        return version_made(version)
