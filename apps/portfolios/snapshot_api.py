"""`/api/v1/snapshots`: the exact inputs of a figure, and the figure computed again (contract section 5)."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.models import Snapshot
from apps.portfolios.replays import get_visible_snapshot, submit_replay
from apps.tasks.api import AcceptedSerializer, accepted
from nautilus.api.access import Trader, Viewer
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.serializers import StrictSerializer
from nautilus.api.views import ApiView


class SnapshotSerializer(serializers.ModelSerializer):
    snapshot_id = serializers.CharField(source="id")
    portfolio_id = serializers.CharField()
    inputs = serializers.DictField(help_text="Everything that the result depends on; the id is the hash of it")
    result = serializers.DictField(help_text="What came out first")

    class Meta:
        model = Snapshot
        fields = ["snapshot_id", "kind", "portfolio_id", "created_at", "inputs", "result"]


class ReplaySerializer(StrictSerializer):
    """No field: the snapshot says it all."""


class SnapshotView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = SnapshotSerializer

    def get(self, request: Request, snapshot_id: str) -> Response:
        """The exact inputs of a stored figure, and what came out."""
        refuse_unknown_parameters(request, ())
        return Response(SnapshotSerializer(get_visible_snapshot(request.user, snapshot_id)).data)


class ReplayView(ApiView):
    roles = {"POST": Trader}
    serializer_class = ReplaySerializer

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request, snapshot_id: str) -> Response:
        """Compute the result again from the snapshot's inputs, and compare every bit."""
        self.validated_json(request)
        return accepted(submit_replay(get_visible_snapshot(request.user, snapshot_id), request.user))
