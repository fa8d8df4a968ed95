"""Strategies and their versions."""

from typing import Any

from rest_framework import serializers

from apps.portfolios.models import readable_id
from apps.strategies.models import Strategy, StrategyVersion
from apps.strategies.serializers.fields import CodeField, ParametersField, VersionNumberField
from nautilus.api.serializers import StrictSerializer


class CreateStrategySerializer(StrictSerializer):
    id = serializers.CharField(
        required=False, max_length=64, validators=[readable_id], help_text="Left out, the next STRATEGY_nnn"
    )
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=10_000, default="", allow_blank=True)


class StrategySerializer(serializers.ModelSerializer):
    """Expects rows of strategies_as_shown."""

    head_version = serializers.IntegerField(
        source="head_number", allow_null=True, help_text="The newest of the main line; null without any"
    )
    versions = serializers.IntegerField(source="version_count")
    open_merge_requests = serializers.IntegerField(source="open_merge_request_count")
    created_by = serializers.CharField(source="created_by.username", allow_null=True)

    class Meta:
        model = Strategy
        fields = [
            "id",
            "name",
            "description",
            "head_version",
            "versions",
            "open_merge_requests",
            "created_at",
            "created_by",
        ]
        read_only_fields = fields  # always there: the schema says so


class PostVersionSerializer(StrictSerializer):
    parent_version = VersionNumberField(default=None, allow_null=True, help_text="Null for the first version")
    code = CodeField(help_text="Python with `def target_weights(prices, params)`")
    parameters = ParametersField(default=dict, help_text="What target_weights gets as `params`")
    message = serializers.CharField(max_length=1_000, default="", allow_blank=True)


class StrategyVersionListSerializer(serializers.ModelSerializer):
    """Expects rows of versions_as_shown; in a list code and parameters are left out."""

    strategy_id = serializers.CharField()
    parent_version = serializers.IntegerField(source="parent_number", allow_null=True)
    canonical = serializers.BooleanField(help_text="Of the main line: the head or one of its parents")
    merged_from = serializers.IntegerField(
        source="merged_number", allow_null=True, help_text="The version that this merge took in; null for no merge"
    )
    is_head = serializers.BooleanField(help_text="The newest of the main line: the parent for the next version")
    merge_request_id = serializers.IntegerField(
        allow_null=True, help_text="Of this version, where its changes collided with the head's"
    )

    class Meta:
        model = StrategyVersion
        fields = [
            "strategy_id",
            "version",
            "parent_version",
            "hash",
            "canonical",
            "merged_from",
            "is_head",
            "merge_request_id",
            "message",
            "author",
            "created_at",
        ]
        read_only_fields = fields


class StrategyVersionSerializer(StrategyVersionListSerializer):
    parameters = serializers.DictField()

    class Meta(StrategyVersionListSerializer.Meta):
        fields = [*StrategyVersionListSerializer.Meta.fields, "code", "parameters"]
        read_only_fields = fields


class ParametersDiffSerializer(serializers.Serializer):
    added = serializers.DictField()
    removed = serializers.DictField()
    changed = serializers.DictField(help_text='Key to `{"from": …, "to": …}`')


class VersionDiffSerializer(serializers.Serializer):
    strategy_id = serializers.CharField()
    to = serializers.IntegerField()
    code = serializers.CharField(help_text="Unified diff; empty where the code is the same")
    parameters = ParametersDiffSerializer()

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.IntegerField(), **super().get_fields()}  # no name that a class could give it


class RenumberedVersionSerializer(serializers.Serializer):
    to = serializers.IntegerField()
    hash = serializers.CharField()

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.IntegerField(), **super().get_fields()}


class HistoryProblemSerializer(serializers.Serializer):
    version = serializers.IntegerField(allow_null=True)
    code = serializers.CharField()
    detail = serializers.CharField()


class RebuiltHistorySerializer(serializers.Serializer):
    strategy_id = serializers.CharField()
    versions = serializers.IntegerField(help_text="How many there are")
    valid = serializers.BooleanField(help_text="No problem was found")
    renumbered = RenumberedVersionSerializer(many=True)
    canonical_mended = serializers.ListField(
        child=serializers.IntegerField(), help_text="Versions whose mark `canonical` was wrong"
    )
    problems = HistoryProblemSerializer(many=True)
