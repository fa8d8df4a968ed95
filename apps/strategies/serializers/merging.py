"""Merge requests, and how they end."""

from typing import Any

from rest_framework import serializers

from apps.strategies.models import MergeRequest
from apps.strategies.serializers.fields import CodeField, OneOfField, ParametersField
from nautilus.api.serializers import StrictSerializer, WholeNumberField


class MergeRequestListSerializer(serializers.ModelSerializer):
    """Expects rows of merge_requests_as_shown; in a list the hunks are left out."""

    merge_request_id = serializers.IntegerField(source="id")
    strategy_id = serializers.CharField()
    base_version = serializers.IntegerField(source="base_number", help_text="The nearest ancestor of both sides")
    head_version = serializers.IntegerField(source="head_number", help_text="The main line's side")
    branch_version = serializers.IntegerField(source="branch_number", help_text="The side that was posted")
    collisions = serializers.IntegerField(help_text="How many hunks there are")
    resolution = serializers.CharField(allow_null=True, help_text="latest or manual; null while it is open")
    result_version = serializers.IntegerField(source="result_number", allow_null=True)
    created_by = serializers.CharField(source="created_by.username", allow_null=True)
    resolved_by = serializers.CharField(source="resolved_by.username", allow_null=True)

    class Meta:
        model = MergeRequest
        fields = [
            "merge_request_id",
            "strategy_id",
            "status",
            "base_version",
            "head_version",
            "branch_version",
            "collisions",
            "resolution",
            "result_version",
            "created_at",
            "created_by",
            "resolved_at",
            "resolved_by",
        ]
        read_only_fields = fields  # always there: the schema says so

    def to_representation(self, instance: MergeRequest) -> dict[str, Any]:
        return {**super().to_representation(instance), "resolution": instance.resolution or None}


class MergeRequestSerializer(MergeRequestListSerializer):
    hunks = serializers.ListField(
        child=serializers.DictField(),
        help_text="Where both sides changed the same: of `kind` code the lines of `base`, `head` and `branch` and where"
        " they start, of `kind` parameters the values at a `path` of keys",
    )

    class Meta(MergeRequestListSerializer.Meta):
        fields = [*MergeRequestListSerializer.Meta.fields, "hunks"]
        read_only_fields = fields


class ResolveConflictSerializer(StrictSerializer):
    conflict_resolution = OneOfField(
        MergeRequest.Resolution.choices,
        help_text="latest: the version that was posted last holds as a whole; manual: what you send holds",
    )
    merge_request_id = WholeNumberField(
        default=None, allow_null=True, help_text="May be left out where one alone is open"
    )
    code = CodeField(default=None, allow_null=True, help_text="Left out: the merged code, where it merged cleanly")
    parameters = ParametersField(
        default=None, allow_null=True, help_text="Left out: the merged parameters, where they merged cleanly"
    )
    message = serializers.CharField(max_length=1_000, default="", allow_blank=True)
