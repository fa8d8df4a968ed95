"""Deploying, rolling back, and what an active deployment does."""

from django.conf import settings
from rest_framework import serializers

from apps.strategies.models import DeploymentOrder, DeploymentRun, Environment, Schedule
from apps.strategies.serializers.fields import OneOfField, ShareField, VersionNumberField, bounds_in_words
from apps.tasks.api import AcceptedSerializer
from nautilus.api.serializers import NumberField, StrictSerializer, WholeNumberField

MOST_SYMBOLS = 5_000
LARGEST_COST_BPS = 1_000
LONGEST_CANARY_DAYS = 252  # trading days: a year
LONGEST_MINUTES = 10_080  # a week


class AskedCanarySerializer(StrictSerializer):
    share = ShareField(help_text="Of the portfolio, at first: between 0 and 1")
    days = WholeNumberField(
        min_value=1,
        max_value=LONGEST_CANARY_DAYS,
        error_messages=bounds_in_words(1, LONGEST_CANARY_DAYS, "trading days"),
        help_text="Trading days until the rest follows",
    )


class DeploySerializer(StrictSerializer):
    strategy_id = serializers.CharField(max_length=64)
    version = VersionNumberField()
    portfolio_id = serializers.CharField(max_length=64)
    environment = OneOfField(Environment.choices)
    schedule = OneOfField(Schedule.choices, default=Schedule.DAILY)
    symbols = serializers.ListField(
        child=serializers.CharField(max_length=32),
        default=None,
        allow_null=True,
        min_length=1,
        max_length=MOST_SYMBOLS,
        help_text="What it may hold; left out, every active instrument in the portfolio's currency but its benchmark",
    )
    cost_bps = NumberField(
        default=None,
        allow_null=True,
        min_value=0,
        max_value=LARGEST_COST_BPS,
        error_messages=bounds_in_words(0, LARGEST_COST_BPS, "basis points"),
        help_text="Of each fill's price, in basis points; left out, NAUTILUS_STRATEGY_COST_BPS",
    )
    start_date = serializers.DateField(
        default=None, allow_null=True, help_text="Paper only: recorded days from here on are traded first"
    )
    canary = AskedCanarySerializer(default=None, allow_null=True)


class DeployedSerializer(AcceptedSerializer):
    deployment_id = serializers.CharField(help_text="Followed on the topic `deployments:{deployment_id}`")


class RollBackSerializer(StrictSerializer):
    deployment_id = serializers.CharField(max_length=64)
    force = serializers.BooleanField(default=False, help_text="Skips the backtest; operators may, and need it")
    to_version = VersionNumberField(
        default=None, allow_null=True, help_text="Left out: the version that ran before this deployment"
    )
    reason = serializers.CharField(max_length=1_000, default="", allow_blank=True)


class RolledBackSerializer(AcceptedSerializer):
    deployment_id = serializers.CharField(
        help_text="The new deployment, which brings the other version back; the one that was named where it ends and"
        " none follows: it was on its way, or nothing ran before it"
    )


def _stuck_minutes() -> int:
    return settings.DEPLOYMENT_STUCK_MINUTES


class ClearStuckSerializer(StrictSerializer):
    older_than_minutes = WholeNumberField(
        default=_stuck_minutes,
        min_value=1,
        max_value=LONGEST_MINUTES,
        error_messages=bounds_in_words(1, LONGEST_MINUTES, "minutes"),
        help_text="Left out, NAUTILUS_DEPLOYMENT_STUCK_MINUTES: 30",
    )


class ClearedDeploymentsSerializer(serializers.Serializer):
    cleared = serializers.ListField(child=serializers.CharField(), help_text="Deployments that have `failed` now")
    older_than_minutes = serializers.IntegerField()


class DeploymentRunSerializer(serializers.ModelSerializer):
    deployment_id = serializers.CharField()
    weights = serializers.DictField(
        child=serializers.FloatField(), allow_null=True, help_text="By symbol, as a fraction of the equity"
    )
    error = serializers.DictField(allow_null=True, help_text="`code`, `detail` and `remedy`")

    class Meta:
        model = DeploymentRun
        fields = [
            "deployment_id",
            "day",
            "status",
            "attempts",
            "price_version",
            "equity",
            "weights",
            "share",
            "error",
            "log",
            "created_at",
        ]
        read_only_fields = fields  # always there: the schema says so


class DeploymentOrderSerializer(serializers.ModelSerializer):
    deployment_id = serializers.CharField()
    day = serializers.DateField(source="run.day", help_text="The trading day that it was decided on")
    symbol = serializers.CharField(source="instrument_id")
    quantity = serializers.FloatField(help_text="Negative sells")
    reasons = serializers.ListField(child=serializers.CharField(), help_text="Of a refusal or a cancellation")
    trade_id = serializers.IntegerField(allow_null=True)
    filled_price = serializers.FloatField(source="trade.price", allow_null=True, help_text="With the costs in it")
    filled_at = serializers.DateTimeField(source="trade.traded_at", allow_null=True)

    class Meta:
        model = DeploymentOrder
        fields = [
            "id",
            "deployment_id",
            "day",
            "symbol",
            "quantity",
            "decided_price",
            "status",
            "reasons",
            "trade_id",
            "filled_price",
            "filled_at",
            "created_at",
            "ended_at",
        ]
        read_only_fields = fields
