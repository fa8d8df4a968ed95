"""`/risk/alerts`: what happened, who is told, and whether it arrived (contract section 5)."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import get_visible_portfolio, visible_portfolios
from apps.portfolios.models import Portfolio
from apps.risk.alert_channels import add_channel, change_channel, get_channel, last_deliveries
from apps.risk.alerts import acknowledge_event, send_test_alerts
from apps.risk.deliveries import resend
from apps.risk.errors_alerts import DeliveryNotFoundError, EventNotFoundError
from apps.risk.models import AlertChannel, AlertDelivery, RiskEvent
from apps.risk.serializers.alerts import (
    AddChannelSerializer,
    AlertSerializer,
    AlertsSerializer,
    ChangeChannelSerializer,
    ChannelSerializer,
    DeliveryWithHistorySerializer,
    ListedDeliverySerializer,
    NewChannelSerializer,
    TrialSerializer,
    trial_as_dict,
)
from nautilus.api.access import RiskManager, Viewer
from nautilus.api.views import ApiView

_YES_OR_NO = [("true", "goes on"), ("false", "is over")]


class AlertFilter(filters.FilterSet):
    open = filters.ChoiceFilter(choices=_YES_OR_NO, method="filter_open")
    acknowledged = filters.ChoiceFilter(choices=_YES_OR_NO, method="filter_acknowledged")
    since = filters.IsoDateTimeFilter(field_name="timestamp", lookup_expr="gte")

    class Meta:
        model = RiskEvent
        fields = ["event_type", "severity", "open", "acknowledged", "since"]

    def filter_open(self, events: QuerySet[RiskEvent], name: str, value: str) -> QuerySet[RiskEvent]:
        return events.filter(closed_at__isnull=value == "true")

    def filter_acknowledged(self, events: QuerySet[RiskEvent], name: str, value: str) -> QuerySet[RiskEvent]:
        return events.filter(acknowledged_at__isnull=value == "false")


class AlertsView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = AlertSerializer
    filterset_class = AlertFilter
    ordering_fields = ["timestamp"]
    queryset = RiskEvent.objects.none()

    @extend_schema(responses=AlertsSerializer, filters=True)
    def get(self, request: Request, portfolio_id: str) -> Response:
        """A portfolio's channels, and its alerts, newest first, with what became of each message."""
        portfolio = get_visible_portfolio(request.user, portfolio_id)
        events = RiskEvent.objects.filter(portfolio=portfolio).select_related("acknowledged_by")
        page = self.paginate_queryset(self.filter_queryset(events.prefetch_related("deliveries")))
        listed = self.get_paginated_response(self.get_serializer(page, many=True).data).data
        alerts = listed.pop("results")
        return Response(
            {"portfolio_id": portfolio.pk, "channels": self._channels(portfolio), **listed, "alerts": alerts}
        )

    def _channels(self, portfolio: Portfolio) -> Any:
        channels = AlertChannel.objects.filter(portfolio=portfolio).select_related("created_by")
        context = {**self.get_serializer_context(), "last_deliveries": last_deliveries(channels)}
        return ChannelSerializer(channels, many=True, context=context).data


class ChannelsView(ApiView):
    roles = {"POST": RiskManager}
    serializer_class = AddChannelSerializer

    @extend_schema(responses={201: NewChannelSerializer})
    def post(self, request: Request, portfolio_id: str) -> Response:
        """Add a channel; the answer holds the secret that signs a webhook's messages, which is not shown again."""
        portfolio = get_visible_portfolio(request.user, portfolio_id)
        channel = add_channel(portfolio, user=request.user, **self.validated(request))
        return Response(NewChannelSerializer(channel, context=self.get_serializer_context()).data, status=201)


class ChannelView(ApiView):
    roles = {"PATCH": RiskManager, "DELETE": RiskManager}
    serializer_class = ChangeChannelSerializer

    @extend_schema(responses=ChannelSerializer)
    def patch(self, request: Request, portfolio_id: str, channel_id: int) -> Response:
        """Change a channel; what waits to be sent goes to the new target, or is given up where it is switched off."""
        channel = get_channel(get_visible_portfolio(request.user, portfolio_id), channel_id)
        changed = change_channel(channel, self.validated(request))
        return Response(ChannelSerializer(changed, context=self.get_serializer_context()).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, portfolio_id: str, channel_id: int) -> Response:
        """Remove a channel; its deliveries stay, and what waits to be sent is given up."""
        get_channel(get_visible_portfolio(request.user, portfolio_id), channel_id).delete()
        return Response(status=204)


class TryChannelsView(ApiView):
    roles = {"POST": RiskManager}
    serializer_class = TrialSerializer

    @extend_schema(request=None)
    def post(self, request: Request, portfolio_id: str) -> Response:
        """Send a test message on every channel that is switched on, now, and answer with what each said."""
        trial = send_test_alerts(get_visible_portfolio(request.user, portfolio_id), request.user)
        return Response(trial_as_dict(trial, request.user))


class AcknowledgeView(ApiView):
    roles = {"POST": RiskManager}
    serializer_class = AlertSerializer

    @extend_schema(request=None)
    def post(self, request: Request, event_id: int) -> Response:
        """Say that you look after it: no reminders, no escalation. The first acknowledgement stands."""
        of_visible = Q(portfolio__in=visible_portfolios(request.user)) | Q(portfolio=None)
        event = RiskEvent.objects.filter(of_visible, pk=event_id).first()
        if event is None:
            raise EventNotFoundError(event_id)
        return Response(self.get_serializer(acknowledge_event(event, request.user)).data)


class DeliveryFilter(filters.FilterSet):
    portfolio_id = filters.CharFilter(field_name="event__portfolio_id")
    event_id = filters.NumberFilter(field_name="event_id")

    class Meta:
        model = AlertDelivery
        fields = ["status", "kind", "portfolio_id", "event_id"]


class DeliveriesView(ListModelMixin, ApiView):
    roles = {"GET": RiskManager}
    serializer_class = ListedDeliverySerializer
    filterset_class = DeliveryFilter
    ordering_fields = ["created_at", "next_attempt_at"]
    queryset = AlertDelivery.objects.select_related("event")

    def get(self, request: Request) -> Response:
        """Deliveries, newest first; `status=dead` for those that were given up and can be sent again."""
        return self.list(request)


class DeliveryView(ApiView):
    roles = {"GET": RiskManager}
    serializer_class = DeliveryWithHistorySerializer

    def get(self, request: Request, delivery_id: UUID) -> Response:
        """A delivery with every attempt and what the far side answered."""
        return Response(self.get_serializer(_delivery(delivery_id)).data)


class ResendView(ApiView):
    roles = {"POST": RiskManager}
    serializer_class = DeliveryWithHistorySerializer

    @extend_schema(request=None)
    def post(self, request: Request, delivery_id: UUID) -> Response:
        """Send a dead delivery again, under the same id; 409 for one that is not dead."""
        return Response(self.get_serializer(resend(_delivery(delivery_id))).data)


def _delivery(delivery_id: UUID) -> AlertDelivery:
    delivery = AlertDelivery.objects.select_related("event").filter(pk=delivery_id).first()
    if delivery is None:
        raise DeliveryNotFoundError(delivery_id)
    return delivery
