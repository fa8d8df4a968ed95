"""How alerts, their channels and their deliveries look over HTTP (contract section 5)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.risk.alert_channels import shown_target
from apps.risk.alerts import Trial
from apps.risk.models import AlertChannel, AlertDelivery, DeliveryAttempt, RiskEvent, Severity
from nautilus.api.access import has_role
from nautilus.api.serializers import StrictSerializer, WholeNumberField

LONGEST_ESCALATION_MINUTES = 10_080  # a week


class _ChannelFields(StrictSerializer):
    target = serializers.CharField(
        max_length=500, help_text="An address; a #channel or an incoming webhook's URL; a https URL"
    )
    secret = serializers.CharField(max_length=200, help_text="Of a webhook: signs its messages; left out, one is made")
    min_severity = serializers.ChoiceField(Severity.choices, help_text="warning where nothing is said")
    escalate_after_minutes = WholeNumberField(
        min_value=0,
        max_value=LONGEST_ESCALATION_MINUTES,
        help_text="0, the default: told at once; else only where nobody has acknowledged for so long",
    )
    enabled = serializers.BooleanField(help_text="true where nothing is said")


class AddChannelSerializer(_ChannelFields):
    kind = serializers.ChoiceField(AlertChannel.Kind.choices)

    def get_fields(self) -> dict[str, serializers.Field]:
        return _optional(super().get_fields(), but=("kind", "target"))


class ChangeChannelSerializer(_ChannelFields):
    def get_fields(self) -> dict[str, serializers.Field]:
        return _optional(super().get_fields())


def _optional(fields: dict[str, serializers.Field], but: tuple[str, ...] = ()) -> dict[str, serializers.Field]:
    """What is left out stays as it is, or as the model has it by default."""
    for name, field in fields.items():
        field.required = name in but
    return fields


def target_for(user: Any, row: AlertChannel | AlertDelivery) -> str:
    """Whole for risk managers, for others without what would let them write to it; a Slack URL is such for all."""
    if row.kind == AlertChannel.Kind.SLACK or not has_role(user, "risk_manager"):
        return shown_target(row.kind, row.target)
    return row.target


class _ShowsTarget(serializers.Serializer):
    target = serializers.SerializerMethodField()

    def get_target(self, row: AlertChannel | AlertDelivery) -> str:
        return target_for(self.context["request"].user, row)


class LastDeliverySerializer(serializers.ModelSerializer):
    at = serializers.DateTimeField(source="created_at")
    answer = serializers.CharField(source="last_answer")

    class Meta:
        model = AlertDelivery
        fields = ["id", "status", "at", "answer"]


class ChannelSerializer(_ShowsTarget, serializers.ModelSerializer):
    """Expects the last deliveries by channel id in its context."""

    portfolio_id = serializers.CharField()
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    last_delivery = serializers.SerializerMethodField()

    class Meta:
        model = AlertChannel
        fields = [
            "id",
            "portfolio_id",
            "kind",
            "target",
            "enabled",
            "min_severity",
            "escalate_after_minutes",
            "created_at",
            "created_by",
            "last_delivery",
        ]

    @extend_schema_field(LastDeliverySerializer(allow_null=True))
    def get_last_delivery(self, channel: AlertChannel) -> Any:
        last = self.context.get("last_deliveries", {}).get(channel.pk)
        return LastDeliverySerializer(last).data if last else None


class NewChannelSerializer(ChannelSerializer):
    secret = serializers.CharField(allow_blank=True, help_text="Of a webhook; shown in this answer alone")

    class Meta(ChannelSerializer.Meta):
        fields = [*ChannelSerializer.Meta.fields, "secret"]


class DeliverySerializer(_ShowsTarget, serializers.ModelSerializer):
    channel_id = serializers.IntegerField(allow_null=True, help_text="null where the channel was deleted")

    class Meta:
        model = AlertDelivery
        fields = [
            "id",
            "channel_id",
            "kind",
            "target",
            "status",
            "turn",
            "attempts",
            "last_answer",
            "created_at",
            "next_attempt_at",
            "delivered_at",
        ]


class AlertSerializer(serializers.ModelSerializer):
    limit_id = serializers.IntegerField(allow_null=True)
    kind = serializers.SerializerMethodField(help_text="The limit's kind")
    symbol = serializers.SerializerMethodField()
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", allow_null=True, default=None)
    deliveries = DeliverySerializer(many=True)

    class Meta:
        model = RiskEvent
        fields = [
            "id",
            "event_type",
            "severity",
            "portfolio_id",
            "limit_id",
            "kind",
            "symbol",
            "value",
            "threshold",
            "message",
            "timestamp",
            "closed_at",
            "acknowledged_at",
            "acknowledged_by",
            "deliveries",
        ]

    def get_kind(self, event: RiskEvent) -> str | None:
        return event.kind or None

    def get_symbol(self, event: RiskEvent) -> str | None:
        return event.symbol or None


class AlertsSerializer(serializers.Serializer):
    portfolio_id = serializers.CharField()
    channels = ChannelSerializer(many=True)
    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    alerts = AlertSerializer(many=True)


class ListedDeliverySerializer(DeliverySerializer):
    event_id = serializers.IntegerField()
    event_type = serializers.CharField(source="event.event_type")
    severity = serializers.CharField(source="event.severity")
    portfolio_id = serializers.CharField(source="event.portfolio_id")
    message = serializers.CharField(source="event.message")

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "event_id", "event_type", "severity", "portfolio_id", "message"]


class AttemptSerializer(serializers.ModelSerializer):
    class Meta:
        model = DeliveryAttempt
        fields = ["number", "at", "delivered", "answer", "elapsed_ms"]


class DeliveryWithHistorySerializer(ListedDeliverySerializer):
    history = AttemptSerializer(many=True)

    class Meta(ListedDeliverySerializer.Meta):
        fields = [*ListedDeliverySerializer.Meta.fields, "history"]


class TriedChannelSerializer(serializers.Serializer):
    channel_id = serializers.IntegerField()
    kind = serializers.CharField()
    target = serializers.CharField()
    delivered = serializers.BooleanField()
    answer = serializers.CharField()
    elapsed_ms = serializers.FloatField()


class TriedTopicSerializer(serializers.Serializer):
    topic = serializers.CharField()
    published = serializers.BooleanField()
    seq = serializers.IntegerField(allow_null=True)


class TrialSerializer(serializers.Serializer):
    portfolio_id = serializers.CharField()
    event_id = serializers.IntegerField()
    results = TriedChannelSerializer(many=True)
    websocket = TriedTopicSerializer()


def trial_as_dict(trial: Trial, user: Any) -> dict[str, Any]:
    return {
        "portfolio_id": trial.event.portfolio_id,
        "event_id": trial.event.pk,
        "results": [
            {
                "channel_id": channel.pk,
                "kind": channel.kind,
                "target": target_for(user, channel),
                "delivered": outcome.delivered,
                "answer": outcome.answer,
                "elapsed_ms": outcome.elapsed_ms,
            }
            for channel, outcome in trial.results
        ],
        "websocket": {"topic": trial.topic, "published": trial.seq is not None, "seq": trial.seq},
    }
