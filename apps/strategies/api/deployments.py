"""`/strategy/deployments`: read, with what they did; deployed, approved, rolled back, cleared."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import visible_portfolios
from apps.portfolios.errors import PortfolioClosedError
from apps.strategies.access import (
    check_may_approve,
    get_deployment_to_roll_back,
    get_portfolio_to_deploy_to,
    get_visible_deployment,
)
from apps.strategies.api.queries import orders_as_shown
from apps.strategies.api.roles import StrategistOrOperator
from apps.strategies.deployments import approve_deployment, submit_deployment
from apps.strategies.errors import (
    DeploymentStateError,
    DeploymentUnderWayError,
    NoBrokerError,
    OtherEnvironmentError,
    OwnDeploymentError,
)
from apps.strategies.models import Deployment, DeploymentOrder, DeploymentRun
from apps.strategies.representation import (
    DeploymentListSerializer,
    DeploymentSerializer,
    deployments_as_listed,
    deployments_as_shown,
)
from apps.strategies.rollback import roll_back_deployment
from apps.strategies.serializers.deployments import (
    ClearedDeploymentsSerializer,
    ClearStuckSerializer,
    DeployedSerializer,
    DeploymentOrderSerializer,
    DeploymentRunSerializer,
    DeploySerializer,
    RollBackSerializer,
    RolledBackSerializer,
)
from apps.strategies.serializers.fields import NothingSerializer
from apps.strategies.serializers.refusals import refused_with
from apps.strategies.stuck import clear_stuck_deployments
from apps.tasks.api import accepted
from nautilus.api.access import Operator, RiskManager, Strategist, Viewer
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView


class DeploymentFilter(filters.FilterSet):
    # Of what may not be seen and of what is not there the same is found: nothing.
    strategy_id = filters.CharFilter()
    portfolio_id = filters.CharFilter()

    class Meta:
        model = Deployment
        fields = ["status", "strategy_id", "portfolio_id", "environment"]


class DeploymentsView(ListModelMixin, ApiView):
    roles = {"GET": Viewer}
    serializer_class = DeploymentListSerializer
    filterset_class = DeploymentFilter
    ordering_fields = ["id", "created_at", "activated_at", "ended_at", "status"]
    queryset = Deployment.objects.none()

    def get_queryset(self) -> QuerySet[Deployment]:
        return deployments_as_listed().filter(portfolio__in=visible_portfolios(self.request.user))

    def get(self, request: Request) -> Response:
        """Deployments on the portfolios that the caller may see, newest first; logs are left out."""
        return self.list(request)


class DeploymentView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = DeploymentSerializer
    queryset = Deployment.objects.none()

    def get(self, request: Request, deployment_id: str) -> Response:
        """One deployment with every step's status, times, log and figures."""
        refuse_unknown_parameters(request, {"format"})
        return Response(_shown(get_visible_deployment(request.user, deployment_id)))


def _shown(deployment: Deployment) -> Any:
    return DeploymentSerializer(deployments_as_shown().get(pk=deployment.pk)).data


class RunFilter(filters.FilterSet):
    start = filters.DateFilter(field_name="day", lookup_expr="gte")
    end = filters.DateFilter(field_name="day", lookup_expr="lte", help_text="Included")

    class Meta:
        model = DeploymentRun
        fields = ["status", "start", "end"]


class OfDeploymentView(ListModelMixin, ApiView):
    """A list of what belongs to one deployment."""

    roles = {"GET": Viewer}

    @property
    def deployment(self) -> Deployment:
        """Raises DeploymentNotFoundError."""
        return get_visible_deployment(self.request.user, self.kwargs["deployment_id"])


class RunsView(OfDeploymentView):
    serializer_class = DeploymentRunSerializer
    filterset_class = RunFilter
    ordering_fields = ["day"]
    queryset = DeploymentRun.objects.none()

    def get_queryset(self) -> QuerySet[DeploymentRun]:
        return DeploymentRun.objects.filter(deployment=self.deployment)

    def get(self, request: Request, deployment_id: str) -> Response:
        """The days on which the strategy was asked, newest first: what it answered, or how it failed."""
        return self.list(request)


class OrderFilter(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument_id")
    day = filters.DateFilter(field_name="run__day")

    class Meta:
        model = DeploymentOrder
        fields = ["status", "symbol", "day"]


class OrdersView(OfDeploymentView):
    serializer_class = DeploymentOrderSerializer
    filterset_class = OrderFilter
    ordering_fields = ["id", "created_at", "ended_at"]
    queryset = DeploymentOrder.objects.none()

    def get_queryset(self) -> QuerySet[DeploymentOrder]:
        return orders_as_shown(self.deployment.pk)

    def get(self, request: Request, deployment_id: str) -> Response:
        """What a deployment wanted to trade, newest first, and what became of it."""
        return self.list(request)


class DeployView(ApiView):
    roles = {"POST": Strategist}
    serializer_class = DeploySerializer

    @extend_schema(
        responses={
            202: DeployedSerializer,
            409: refused_with(DeploymentUnderWayError, NoBrokerError, OtherEnvironmentError, PortfolioClosedError),
        }
    )
    def post(self, request: Request) -> Response:
        """Bring a version to a portfolio: it is validated, backtested and held against the limits first.

        `live` waits for somebody else's approval before it is activated.
        """
        asked = self.validated(request)
        portfolio_id = asked.pop("portfolio_id")
        portfolio = get_portfolio_to_deploy_to(request.user, portfolio_id, asked["environment"])
        deployment, task = submit_deployment(portfolio=portfolio, user=request.user, **asked)
        return accepted(task, deployment_id=deployment.pk)


class ApproveView(ApiView):
    roles = {"POST": RiskManager}
    serializer_class = NothingSerializer

    @extend_schema(
        responses={
            200: DeploymentSerializer,
            409: refused_with(
                OwnDeploymentError, DeploymentStateError, NoBrokerError, OtherEnvironmentError, PortfolioClosedError
            ),
        }
    )
    def post(self, request: Request, deployment_id: str) -> Response:
        """Approve what somebody else wants to run live."""
        self.validated(request)
        deployment = get_visible_deployment(request.user, deployment_id)
        check_may_approve(request.user, deployment)
        return Response(_shown(approve_deployment(deployment.pk, request.user)))


class RollBackView(ApiView):
    roles = {"POST": StrategistOrOperator}
    serializer_class = RollBackSerializer

    @extend_schema(
        responses={202: RolledBackSerializer, 409: refused_with(DeploymentStateError, DeploymentUnderWayError)}
    )
    def post(self, request: Request) -> Response:
        """Go back to the version before, or to any. `force` skips the backtest: operators roll back so what others
        deployed, strategists what is theirs either way.
        """
        asked = self.validated(request)
        deployment = get_deployment_to_roll_back(request.user, asked.pop("deployment_id"), force=asked["force"])
        answering, task = roll_back_deployment(deployment, user=request.user, **asked)
        return accepted(task, deployment_id=answering.pk)


class ClearStuckView(ApiView):
    roles = {"POST": Operator}
    serializer_class = ClearStuckSerializer

    @extend_schema(responses=ClearedDeploymentsSerializer)
    def post(self, request: Request) -> Response:
        """End as `failed` with `Timeout` what has been on its way for too long; the scheduler does it by itself."""
        minutes = self.validated(request)["older_than_minutes"]
        return Response({"cleared": clear_stuck_deployments(minutes), "older_than_minutes": minutes})
