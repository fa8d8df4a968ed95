"""`/strategy/versions`: read, posted, compared, and their history verified."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.strategies.access import get_strategy
from apps.strategies.api.conflicts import conflict_kept
from apps.strategies.api.queries import versions_as_shown
from apps.strategies.api.roles import StrategistOrOperator
from apps.strategies.diffs import diff_versions
from apps.strategies.errors import MergeConflictError, ParentNeededError
from apps.strategies.models import StrategyVersion
from apps.strategies.serializers.fields import NothingSerializer
from apps.strategies.serializers.refusals import VersionConflictSerializer, refused_with
from apps.strategies.serializers.versions import (
    PostVersionSerializer,
    RebuiltHistorySerializer,
    StrategyVersionListSerializer,
    StrategyVersionSerializer,
    VersionDiffSerializer,
)
from apps.strategies.version_history import rebuild_version_history
from apps.strategies.versions import get_version, post_version
from nautilus.api.access import Strategist, Viewer
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView


class VersionFilter(filters.FilterSet):
    # django-filter's own takes any other word for no filter at all.
    canonical = filters.TypedChoiceFilter(
        choices=[("true", "true"), ("false", "false")], coerce=lambda text: text == "true"
    )

    class Meta:
        model = StrategyVersion
        fields = ["canonical", "author"]


def version_shown(version: StrategyVersion) -> dict[str, Any]:
    row = versions_as_shown(version.strategy_id).defer(None).get(pk=version.pk)
    return dict(StrategyVersionSerializer(row).data)


def version_made(version: StrategyVersion) -> Response:
    location = f"/api/v1/sprint3/strategy/versions/{version.strategy_id}/{version.version}"
    return Response(version_shown(version), status=201, headers={"Location": location})


class VersionsView(ListModelMixin, ApiView):
    roles = {"GET": Viewer, "POST": Strategist}
    serializer_class = StrategyVersionListSerializer
    filterset_class = VersionFilter
    ordering_fields = ["version", "created_at"]
    queryset = StrategyVersion.objects.none()

    def get_queryset(self) -> QuerySet[StrategyVersion]:
        return versions_as_shown(get_strategy(self.kwargs["strategy_id"]).pk)

    def get(self, request: Request, strategy_id: str) -> Response:
        """A strategy's versions, newest first, without their code."""
        return self.list(request)

    @extend_schema(
        request=PostVersionSerializer,
        responses={
            201: StrategyVersionSerializer,
            409: refused_with(MergeConflictError, ParentNeededError, shape=VersionConflictSerializer),
        },
    )
    def post(self, request: Request, strategy_id: str) -> Response:
        """Post a version. On a parent that is no longer the head it is merged, or kept with a merge request (409).

        A merge says in `merged_from` which version of yours it took in.
        """
        serializer = PostVersionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            version = post_version(strategy_id, user=request.user, **serializer.validated_data)
        except MergeConflictError as conflict:
            return conflict_kept(strategy_id, conflict)
        return version_made(version)


class VersionView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = StrategyVersionSerializer
    queryset = StrategyVersion.objects.none()

    def get(self, request: Request, strategy_id: str, version: int) -> Response:
        """One version with its code and parameters."""
        refuse_unknown_parameters(request, {"format"})
        return Response(version_shown(get_version(get_strategy(strategy_id).pk, version)))


class DiffView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = VersionDiffSerializer
    queryset = StrategyVersion.objects.none()

    def get(self, request: Request, strategy_id: str, version: int, other: int) -> Response:
        """What has to be changed in the first version to have the second."""
        refuse_unknown_parameters(request, {"format"})
        strategy = get_strategy(strategy_id)
        return Response(diff_versions(get_version(strategy.pk, version), get_version(strategy.pk, other)))


class RebuildHistoryView(ApiView):
    roles = {"POST": StrategistOrOperator}
    serializer_class = NothingSerializer

    @extend_schema(responses=RebuiltHistorySerializer)
    def post(self, request: Request, strategy_id: str) -> Response:
        """Verify every hash and parent, number the versions by their creation, and say what was found."""
        self.validated(request)
        return Response(rebuild_version_history(strategy_id, request.user))
