"""`/api/v1/cache`: contract section 7."""

import logging
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from nautilus.api.access import Operator
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.serializers import StrictSerializer, WholeNumberField
from nautilus.api.views import ApiView
from nautilus.cache import control
from nautilus.cache.keys import PREFIXES

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 86_400


class CacheStatusSerializer(serializers.Serializer):
    mode = serializers.ChoiceField(["normal", "aggressive"])
    ttl_seconds = serializers.IntegerField(help_text="How long an answer is fresh, by default, give or take a tenth.")
    entries = serializers.IntegerField()
    entries_by_prefix = serializers.DictField(child=serializers.IntegerField())
    hits = serializers.IntegerField(help_text="Answered without computing; `waits` and `stale` are among them.")
    misses = serializers.IntegerField(help_text="Computed.")
    waits = serializers.IntegerField(help_text="Answered by what another call was computing.")
    stale = serializers.IntegerField(help_text="Answered by what was being computed anew, in the aggressive mode.")
    errors = serializers.IntegerField(  # type: ignore[assignment]  # a name of the base class too
        help_text="Calls whose computation raised an error."
    )
    unavailable = serializers.IntegerField(help_text="Computed because Redis did not answer; among the misses.")
    hit_ratio = serializers.FloatField(allow_null=True, help_text="Null where nothing was asked yet.")
    bytes = serializers.IntegerField(help_text="Of the answers, as they are kept.")
    max_bytes = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When the aggressive mode ends by itself.")


class ClearedSerializer(CacheStatusSerializer):
    cleared = serializers.IntegerField(help_text="How many answers are gone.")


class EnableSerializer(StrictSerializer):
    seconds = WholeNumberField(default=3600, min_value=1, max_value=LONGEST_SECONDS)


class ClearSerializer(StrictSerializer):
    prefix = serializers.CharField(required=False, max_length=200)


class CacheView(ApiView):
    def answer(self, **more: Any) -> Response:
        return Response({**control.status(), **more})


class EnableAggressiveModeView(CacheView):
    roles = {"POST": Operator}
    serializer_class = EnableSerializer

    @extend_schema(responses=CacheStatusSerializer)
    def post(self, request: Request) -> Response:
        """Keep answers longer, and give them while they are computed anew, for some time."""
        seconds = self.validated(request)["seconds"]
        control.enable_aggressive_mode(seconds)
        logger.warning("User %s enabled the cache's aggressive mode for %d s", request.user.pk, seconds)
        return self.answer()


class DisableAggressiveModeView(CacheView):
    roles = {"POST": Operator}
    serializer_class = StrictSerializer

    @extend_schema(responses=CacheStatusSerializer)
    def post(self, request: Request) -> Response:
        """End the aggressive mode now."""
        self.validated(request)
        control.disable_aggressive_mode()
        logger.warning("User %s ended the cache's aggressive mode", request.user.pk)
        return self.answer()


class CacheStatusView(CacheView):
    roles = {"GET": Operator}
    serializer_class = CacheStatusSerializer

    @extend_schema(responses=CacheStatusSerializer)
    def get(self, request: Request) -> Response:
        """What is kept, how often it was of use, and the mode."""
        refuse_unknown_parameters(request, ())
        return self.answer()


class ClearView(CacheView):
    roles = {"POST": Operator}
    serializer_class = ClearSerializer

    @extend_schema(responses=ClearedSerializer)
    def post(self, request: Request) -> Response:
        """Forget the answers under a prefix, or all of them."""
        prefix = self.validated(request).get("prefix")
        cleared = control.clear([prefix] if prefix else PREFIXES)
        what = prefix or "everything"
        logger.warning("User %s cleared %s from the cache: %d answers", request.user.pk, what, cleared)
        return self.answer(cleared=cleared)
