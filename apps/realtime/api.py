"""`/websocket/*`: contract section 9."""

import logging

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.realtime.broadcasts import broadcast
from apps.realtime.serializers import (
    BroadcastAnswerSerializer,
    BroadcastSerializer,
    ConnectionStatsSerializer,
    RestartAnswerSerializer,
    SocketPerformanceSerializer,
    SubscriptionsSerializer,
)
from apps.realtime.websocket_manager import WebSocketManager
from nautilus.api.access import Operator
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.serializers import StrictSerializer
from nautilus.api.views import ApiView

logger = logging.getLogger(__name__)

_COUNTERS = {
    "active": 412,
    "max": 2000,
    "accepted": 9120,
    "rejected": 3,
    "messages_sent": 1840221,
    "bytes_sent": 590712004,
    "dropped": 1001,
    "slow_consumers": 1,
    "uptime_seconds": 86400.5,
}
_LATENCY = {"p50": 1.9, "p95": 6.2, "p99": 14.8}
_PROCESS = {
    **_COUNTERS,
    "process": "handler-1:17",
    "hub": "9f2c61d07ab4",
    "started_at": "2026-11-28T12:00:00Z",
    "queue_depth": 0,
    "messages_per_second": 820.4,
    "latency_ms": _LATENCY,
    "topics": 37,
}
STATS_EXAMPLE = OpenApiExample(
    "One process",
    {**_COUNTERS, "users": 96, "silent_processes": 0, "processes": [_PROCESS]},
    response_only=True,
)
SUBSCRIPTIONS_EXAMPLE = OpenApiExample(
    "A topic and a pattern",
    {
        "topics": [
            {"topic": "risk:alerts:PORTFOLIO_001", "subscribers": 12, "last_seq": 4711},
            {"topic": "portfolio:updates:*", "subscribers": 3, "last_seq": None},
        ],
        "total": 2,
        "silent_processes": 0,
    },
    response_only=True,
)
PERFORMANCE_EXAMPLE = OpenApiExample(
    "Before the first batch",
    {
        "latency_ms": _LATENCY,
        "messages_per_second": 820.4,
        "queue_depth": 0,
        "batching": {"batch_size": 100, "flush_interval": 1.0, "mean_batch": None},
        "redis": {"latency_ms": 0.14, "used_memory_bytes": 48_211_968},
        "reasons": {"mean_batch": "No batch yet."},
        "silent_processes": 0,
    },
    response_only=True,
)
BROADCAST_EXAMPLES = [
    OpenApiExample(
        "An object",
        {"topic": "news", "message": {"title": "Maintenance at 18:00", "minutes": 10}},
        request_only=True,
    ),
    OpenApiExample("A text", {"topic": "news", "message": "Maintenance at 18:00"}, request_only=True),
    OpenApiExample("Sent", {"topic": "news", "seq": 8, "receivers": 412, "silent_processes": 0}, response_only=True),
]
RESTART_EXAMPLE = OpenApiExample(
    "Two processes",
    {"restarted": True, "processes": 2, "connections_closed": 825, "silent_processes": 0},
    response_only=True,
)


class ConnectionStatsView(ApiView):
    roles = {"GET": Operator}
    serializer_class = ConnectionStatsSerializer
    filter_backends = []

    @extend_schema(examples=[STATS_EXAMPLE])
    def get(self, request: Request) -> Response:
        """How many sockets are open and what they were sent, over all processes and by process."""
        refuse_unknown_parameters(request, {"format"})
        return Response(WebSocketManager().get_connection_stats())


class SubscriptionsView(ApiView):
    roles = {"GET": Operator}
    serializer_class = SubscriptionsSerializer
    filter_backends = []

    @extend_schema(
        parameters=[OpenApiParameter("topic", str, description="Only those that begin with this")],
        examples=[SUBSCRIPTIONS_EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        """Which topics and patterns are followed, by how many sockets, and how far each topic has come."""
        refuse_unknown_parameters(request, {"topic", "format"})
        return Response(WebSocketManager().get_subscriptions(request.query_params.get("topic", "")))


class PerformanceView(ApiView):
    roles = {"GET": Operator}
    serializer_class = SocketPerformanceSerializer
    filter_backends = []

    @extend_schema(examples=[PERFORMANCE_EXAMPLE])
    def get(self, request: Request) -> Response:
        """How long messages take to the sockets, how many go out, and how Redis does."""
        refuse_unknown_parameters(request, {"format"})
        return Response(WebSocketManager().get_performance())


class BroadcastView(ApiView):
    roles = {"POST": Operator}
    serializer_class = BroadcastSerializer

    @extend_schema(responses=BroadcastAnswerSerializer, examples=BROADCAST_EXAMPLES)
    def post(self, request: Request) -> Response:
        """Send a message to everybody who follows a word; topics that an app writes on are refused with 403."""
        given = self.validated(request)
        key = request.headers.get("Idempotency-Key")
        # An answer of Redis that is lost ends in 503, and the key is forgotten: Redis has to know it as well.
        name = f"broadcast:{request.user.pk}:{key}" if key else None
        return Response(broadcast(given["topic"], given["message"], user=request.user, name=name))


class RestartSocketsView(ApiView):
    roles = {"POST": Operator}
    serializer_class = StrictSerializer

    @extend_schema(request=None, responses=RestartAnswerSerializer, examples=[RESTART_EXAMPLE])
    def post(self, request: Request) -> Response:
        """Close all sockets with 1012 and start the hubs again: clients come back and lose nothing."""
        self.validated(request)
        answer = WebSocketManager().restart()
        logger.warning("User %s restarted the sockets of %d processes", request.user.pk, answer["processes"])
        return Response(answer)
