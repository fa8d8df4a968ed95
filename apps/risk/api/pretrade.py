"""`/risk/pre-trade-check`, reservations, decisions and the halt of all trading: contract section 6."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import get_visible_portfolio, visible_portfolios
from apps.portfolios.models import Reservation
from apps.portfolios.reservations import release_reservation
from apps.risk.errors import ReservationNotFoundError
from apps.risk.halting import halt_in_force, set_trading_state_of_all
from apps.risk.models import PreTradeDecision
from apps.risk.pretrade.check import check_trades
from apps.risk.pretrade.record import answer
from apps.risk.serializers.pretrade import (
    BasketAnswerSerializer,
    BasketCheckSerializer,
    DecisionSerializer,
    HaltSerializer,
    PreTradeAnswerSerializer,
    PreTradeCheckSerializer,
    ReservationSerializer,
    SetHaltSerializer,
)
from nautilus.api.access import RiskManager, Trader, Viewer
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView

# Made once: to copy their fields for each request takes as long as to check it. They keep nothing of what they check.
_one_trade, _basket = PreTradeCheckSerializer(), BasketCheckSerializer()


class PreTradeCheckView(ApiView):
    roles = {"POST": Trader}
    serializer_class = PreTradeCheckSerializer

    @extend_schema(responses=PreTradeAnswerSerializer)
    def post(self, request: Request) -> Response:
        """Decide whether a trade may be sent, and hold its room with `reserve`: 200 with the decision either way."""
        asked = _one_trade.run_validation(request.data)
        trades = [asked.pop("trade")]
        return Response(answer(check_trades(asked.pop("portfolio_id"), trades, user=request.user, **asked)))


class BasketCheckView(ApiView):
    roles = {"POST": Trader}
    serializer_class = BasketCheckSerializer

    @extend_schema(responses=BasketAnswerSerializer)
    def post(self, request: Request) -> Response:
        """Decide on a basket of trades together, all or none."""
        asked = _basket.run_validation(request.data)
        decision = check_trades(asked.pop("portfolio_id"), asked.pop("trades"), basket=True, user=request.user, **asked)
        return Response(answer(decision))


class ReservationFilter(filters.FilterSet):
    # By its text: a portfolio that is hidden gives the same empty list as one that is not there.
    portfolio_id = filters.CharFilter()

    class Meta:
        model = Reservation
        fields = ["portfolio_id", "status"]


class ReservationsView(ListModelMixin, ApiView):
    roles = {"GET": Viewer}
    serializer_class = ReservationSerializer
    filterset_class = ReservationFilter
    ordering_fields = ["created_at", "expires_at"]
    queryset = Reservation.objects.none()

    def get_queryset(self) -> QuerySet[Reservation]:
        visible = visible_portfolios(self.request.user)
        return Reservation.objects.filter(portfolio__in=visible).select_related("created_by")

    def get(self, request: Request) -> Response:
        """Reservations of the portfolios that the caller may see, newest first; `status=held` for those that may hold.

        One that is held past its `expires_at` holds nothing any more.
        """
        return self.list(request)


class ReservationView(ApiView):
    roles = {"GET": Viewer, "DELETE": Trader}
    serializer_class = ReservationSerializer
    queryset = Reservation.objects.none()

    def get(self, request: Request, reservation_id: UUID) -> Response:
        """One reservation."""
        return Response(ReservationSerializer(_visible_reservation(request.user, reservation_id)).data)

    @extend_schema(responses=ReservationSerializer)
    def delete(self, request: Request, reservation_id: UUID) -> Response:
        """Give the room back at once; a second time answers the same."""
        reservation = release_reservation(_visible_reservation(request.user, reservation_id))
        return Response(ReservationSerializer(reservation).data)


def _visible_reservation(user: Any, reservation_id: UUID) -> Reservation:
    visible = Reservation.objects.filter(portfolio__in=visible_portfolios(user))
    found = visible.select_related("created_by").filter(pk=reservation_id).first()
    if found is None:
        raise ReservationNotFoundError(reservation_id)
    return found


class DecisionFilter(filters.FilterSet):
    start = filters.IsoDateTimeFilter(field_name="evaluated_at", lookup_expr="gte")
    end = filters.IsoDateTimeFilter(field_name="evaluated_at", lookup_expr="lte")

    class Meta:
        model = PreTradeDecision
        fields = ["start", "end", "approved", "reserve"]


class DecisionsView(ListModelMixin, ApiView):
    roles = {"GET": Viewer}
    serializer_class = DecisionSerializer
    filterset_class = DecisionFilter
    ordering_fields = ["evaluated_at"]
    queryset = PreTradeDecision.objects.none()

    def get_queryset(self) -> QuerySet[PreTradeDecision]:
        portfolio = get_visible_portfolio(self.request.user, self.kwargs["portfolio_id"])
        return PreTradeDecision.objects.filter(portfolio=portfolio).select_related("user")

    def get(self, request: Request, portfolio_id: str) -> Response:
        """Every decision on a portfolio's trades, newest first, with what it was decided on."""
        return self.list(request)


class HaltView(ApiView):
    roles = {"GET": Viewer, "POST": RiskManager}
    serializer_class = SetHaltSerializer

    @extend_schema(responses=HaltSerializer)
    def get(self, request: Request) -> Response:
        """The trading state of all portfolios; the stricter of it and a portfolio's own counts."""
        refuse_unknown_parameters(request, {"format"})
        return Response(_told(halt_in_force()))

    @extend_schema(responses=HaltSerializer)
    def post(self, request: Request) -> Response:
        """Halt all trading, let it only reduce, or lift that; in force from the next check on every process."""
        asked = self.validated(request)
        return Response(_told(set_trading_state_of_all(asked["trading_state"], asked["reason"], request.user)))


def _told(halt: Any) -> dict[str, Any]:
    if halt is None:
        return {"trading_state": "active", "reason": "", "set_at": None, "set_by": None}
    return dict(HaltSerializer(halt).data)
