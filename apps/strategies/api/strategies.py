"""`/strategy/strategies`."""

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.strategies.access import get_strategy
from apps.strategies.api.queries import strategies_as_shown
from apps.strategies.errors import StrategyExistsError
from apps.strategies.models import Strategy
from apps.strategies.serializers.refusals import refused_with
from apps.strategies.serializers.versions import CreateStrategySerializer, StrategySerializer
from apps.strategies.strategies import create_strategy
from nautilus.api.access import Strategist, Viewer
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView


class StrategyFilter(filters.FilterSet):
    name = filters.CharFilter(lookup_expr="icontains", help_text="A part of the name")
    created_by = filters.CharFilter(field_name="created_by__username")

    class Meta:
        model = Strategy
        fields = ["name", "created_by"]


def _shown(strategy_id: str) -> dict[str, Any]:
    return dict(StrategySerializer(strategies_as_shown().get(pk=strategy_id)).data)


class StrategiesView(ListModelMixin, ApiView):
    roles = {"GET": Viewer, "POST": Strategist}
    serializer_class = StrategySerializer
    filterset_class = StrategyFilter
    ordering_fields = ["id", "name", "created_at"]
    queryset = strategies_as_shown()

    def get(self, request: Request) -> Response:
        """Every strategy: its head, how many versions it has, how many merges wait for a decision."""
        return self.list(request)

    @extend_schema(
        request=CreateStrategySerializer, responses={201: StrategySerializer, 409: refused_with(StrategyExistsError)}
    )
    def post(self, request: Request) -> Response:
        """Begin a strategy; its first version is posted next."""
        serializer = CreateStrategySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = dict(serializer.validated_data)
        strategy = create_strategy(strategy_id=fields.pop("id", None), user=request.user, **fields)
        location = f"/api/v1/sprint3/strategy/strategies/{strategy.pk}"
        return Response(_shown(strategy.pk), status=201, headers={"Location": location})


class StrategyView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = StrategySerializer
    queryset = Strategy.objects.none()

    def get(self, request: Request, strategy_id: str) -> Response:
        """One strategy."""
        refuse_unknown_parameters(request, {"format"})
        return Response(_shown(get_strategy(strategy_id).pk))
