"""`/analytics/streaming/*`: contract section 7."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.analytics.real_time_engine import RealTimeAnalyticsEngine
from nautilus.api.access import Operator, ViewerOrOperator
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.serializers import StrictSerializer
from nautilus.api.views import ApiView


class MillisecondsSerializer(serializers.Serializer):
    p50 = serializers.FloatField(allow_null=True, help_text="null where nothing was measured in the last minute")
    p99 = serializers.FloatField(allow_null=True)


class EngineSerializer(serializers.Serializer):
    engine = serializers.CharField(help_text="Host, process and a word of its own")
    portfolios = serializers.IntegerField()
    shards = serializers.IntegerField(help_text="Of 64")
    updates = serializers.IntegerField(help_text="Since it started or was restarted")
    updates_per_second = serializers.FloatField()
    last_update_at = serializers.DateTimeField(allow_null=True)
    lag_ms = MillisecondsSerializer()
    step_ms = MillisecondsSerializer(help_text="What a step takes in which something was published")
    fenced = serializers.IntegerField(help_text="How often it was about to publish what another one publishes now")
    started_at = serializers.DateTimeField()
    books_as_of = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_null=True, help_text="Why its figures are not live")
    silent_seconds = serializers.FloatField(help_text="Since it said last how it does")


class StreamingStatusSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["streaming", "stalled", "stopped"])
    reason = serializers.CharField(allow_null=True, help_text="Why it is not streaming, and what would mend it")
    portfolios = serializers.IntegerField()
    updates_per_second = serializers.FloatField(help_text="Updates of portfolios, over the last ten seconds")
    last_update_at = serializers.DateTimeField(allow_null=True)
    lag_ms = MillisecondsSerializer(help_text="From a quote's arrival to its publication, over the last minute")
    subscribers = serializers.IntegerField(help_text="Of sockets, to analytics:updates and portfolio:updates")
    engines = EngineSerializer(many=True)


class StreamingStatusView(ApiView):
    roles = {"GET": ViewerOrOperator}
    serializer_class = StreamingStatusSerializer
    filter_backends = []

    def get(self, request: Request) -> Response:
        """Whether live figures are published, how many and how fast, by every engine's own account."""
        refuse_unknown_parameters(request, {"format"})
        return Response(RealTimeAnalyticsEngine().status())


class RestartStreamingView(ApiView):
    roles = {"POST": Operator}
    serializer_class = StrictSerializer

    @extend_schema(request=None, responses=StreamingStatusSerializer)
    def post(self, request: Request) -> Response:
        """Have all engines read their books and take their leases anew, within a second; 503 where none runs."""
        self.validated(request)
        return Response(RealTimeAnalyticsEngine().restart())
