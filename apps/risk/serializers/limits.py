"""How limits, their changes and their history look over HTTP (contract section 6).

Types are checked here; values by the operations, for the admin and files as well.
"""

from typing import Any

from rest_framework import serializers

from apps.portfolios.serializers import MomentField
from apps.risk.limits import shown_status, utilization
from apps.risk.models import LimitChange, RiskLimit, Severity
from nautilus.api.serializers import NumberField, StrictSerializer

REASON = "Kept in the limit's history"


class ReasonSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=1_000, default="", allow_blank=True, help_text=REASON)


class ChangeLimitSerializer(ReasonSerializer):
    symbol = serializers.CharField(
        max_length=32, required=False, allow_null=True, help_text="Of this symbol alone; null for each of them"
    )
    threshold_value = NumberField(
        required=False, help_text="Currency of the portfolio, a fraction, a ratio, a quantity or a count, by the kind"
    )
    warning_threshold = NumberField(
        required=False,
        allow_null=True,
        help_text="Left out: 0.8 of a new limit's threshold, and in proportion to a changed one; null: 0.8 of it",
    )
    action = serializers.ChoiceField(RiskLimit.Action.choices, required=False, help_text="Left out: block")
    severity = serializers.ChoiceField(
        Severity.choices, required=False, allow_null=True, help_text="Left out: critical of block, warning of warn"
    )
    active = serializers.BooleanField(required=False, help_text="Left out: true")
    effective_from = MomentField(required=False, allow_null=True)
    effective_to = MomentField(required=False, allow_null=True, help_text="Not at this moment any more")


class CreateLimitSerializer(ChangeLimitSerializer):
    portfolio_id = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(RiskLimit.Kind.choices)
    threshold_value = NumberField(help_text=ChangeLimitSerializer().fields["threshold_value"].help_text)


class LimitChangeSerializer(serializers.ModelSerializer):
    limit_id = serializers.IntegerField(allow_null=True)
    changes = serializers.DictField(help_text="Field to its new value")
    requested_by = serializers.CharField(source="requested_by.username", allow_null=True, default=None)
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)

    class Meta:
        model = LimitChange
        fields = [
            "id",
            "limit_id",
            "changes",
            "deletes",
            "reason",
            "status",
            "requested_at",
            "requested_by",
            "decided_at",
            "decided_by",
        ]


class LimitSerializer(serializers.ModelSerializer):
    """Expects rows of limits_as_shown, and the monitor's freshness in its context."""

    portfolio_id = serializers.CharField()
    symbol = serializers.CharField(source="instrument_id", allow_null=True)
    status_reason = serializers.CharField(allow_null=True, help_text="Why it is unknown, or may be over")
    utilization = serializers.FloatField(allow_null=True, help_text="Current value / threshold")
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    pending_change = LimitChangeSerializer(allow_null=True, help_text="Waits for somebody else's approval")

    class Meta:
        model = RiskLimit
        fields = [
            "id",
            "portfolio_id",
            "kind",
            "symbol",
            "threshold_value",
            "warning_threshold",
            "active",
            "action",
            "severity",
            "effective_from",
            "effective_to",
            "current_value",
            "status",
            "status_reason",
            "status_since",
            "evaluated_at",
            "utilization",
            "created_at",
            "created_by",
            "updated_at",
            "pending_change",
        ]

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = shown_status(instance, self.context["freshness"])
        instance.utilization = utilization(instance)
        instance.pending_change = next(iter(instance.pending_changes), None)
        return {
            **super().to_representation(instance),
            "status": shown.status,
            "status_reason": shown.reason or None,
        }


class HistoryEntrySerializer(serializers.Serializer):
    id = serializers.IntegerField()
    event = serializers.CharField(help_text="created, changed or deleted")
    at = serializers.DateTimeField()
    by = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    changes = serializers.DictField(help_text='Field to `{"from": …, "to": …}`')
