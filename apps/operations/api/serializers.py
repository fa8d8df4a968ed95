"""How health bodies look in the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from apps.operations.findings import Status


class FindingSerializer(serializers.Serializer):
    status = serializers.ChoiceField(Status.choices)
    symptom = serializers.CharField(help_text="As an operator sees it")
    cause = serializers.CharField(help_text="That was found")
    remedy = serializers.CharField(help_text="The one command that mends it")
    link = serializers.CharField(help_text="Into docs/runbook.md")


class ComponentHealthSerializer(serializers.Serializer):
    """The words are those of the leading finding: the first of the worst."""

    status = serializers.ChoiceField(Status.choices)
    latency_ms = serializers.FloatField(help_text="What the check took; so far, where it gives no answer")
    detail = serializers.CharField()
    symptom = serializers.CharField(allow_null=True)
    cause = serializers.CharField(allow_null=True)
    remedy = serializers.CharField(allow_null=True)
    link = serializers.CharField(allow_null=True)
    findings = FindingSerializer(many=True)


class HealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(Status.choices, help_text="The worst of the components")
    timestamp = serializers.DateTimeField()
    version = serializers.CharField()
    components = serializers.DictField(child=ComponentHealthSerializer(), help_text="By name: docs/health.md")


_WORDS = {
    "symptom": "Nobody takes from risk_queue: 12 messages wait",
    "cause": "No worker of risk_queue is alive; risk-worker@desk has been silent for 21 s.",
    "remedy": "scripts/restart-service.sh risk-worker",
    "link": "docs/runbook.md#workers-all-gone",
}
_WELL: dict[str, Any] = {**dict.fromkeys(_WORDS), "status": "healthy", "findings": []}
EXAMPLE = OpenApiExample(
    "A queue without a worker",
    {
        "status": "unhealthy",
        "timestamp": "2026-11-28T19:00:00.000Z",
        "version": "0.1.0",
        "components": {
            "database": {**_WELL, "latency_ms": 3.1, "detail": "PostgreSQL 18.1; 24 of 100 connections"},
            "workers": {
                **_WORDS,
                "status": "unhealthy",
                "latency_ms": 1.9,
                "detail": "4 workers alive, 2 of 21 slots busy",
                "findings": [{"status": "unhealthy", **_WORDS}],
            },
        },
    },
    response_only=True,
)
