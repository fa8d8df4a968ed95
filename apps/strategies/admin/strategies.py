"""Strategies: where their main line stands, and what waits to be merged."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from apps.strategies.admin.operating import OperatingAdmin, Written, short_hash, version_link, without_content
from apps.strategies.models import MergeRequest, Strategy, StrategyVersion

_OPEN = Q(merge_requests__status=MergeRequest.Status.OPEN)


class VersionInline(Written):
    model = StrategyVersion
    verbose_name_plural = "Versions"
    fields = ["version", "message", "author", "canonical", "parent_version", "took_in", "created_at"]
    readonly_fields = ["parent_version", "took_in"]
    ordering = ["-version"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[StrategyVersion]:
        versions = super().get_queryset(request).select_related("parent", "merged_from")
        return without_content(without_content(versions), "parent", "merged_from")

    @admin.display(description="Parent")
    def parent_version(self, version: StrategyVersion) -> SafeString | None:
        return version_link(version.parent)

    @admin.display(description="Merged from")
    def took_in(self, version: StrategyVersion) -> SafeString | None:
        return version_link(version.merged_from)


@admin.register(Strategy)
class StrategyAdmin(OperatingAdmin):
    readers = ("risk_manager", "strategist")
    inlines = [VersionInline]
    list_display = ["id", "name", "head_version", "versions_count", "waiting", "created_by", "created_at"]
    search_fields = ["id", "name", "description"]
    list_select_related = ["head", "created_by"]
    fields = [
        ("id", "name"),
        "description",
        ("head_version", "head_hash"),
        ("versions_count", "waiting"),
        ("created_at", "created_by"),
    ]
    readonly_fields = ["head_version", "head_hash", "versions_count", "waiting", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Strategy]:
        strategies = super().get_queryset(request).select_related("head")
        counted = strategies.annotate(
            versions_made=Count("versions", distinct=True),
            open_merges=Count("merge_requests", filter=_OPEN, distinct=True),
        )
        return without_content(counted, "head")

    @admin.display(description="Head", ordering="head__version")
    def head_version(self, strategy: Strategy) -> SafeString | None:
        return version_link(strategy.head)

    @admin.display(description="Hash of the head")
    def head_hash(self, strategy: Strategy) -> SafeString | None:
        return short_hash(strategy.head) if strategy.head else None

    @admin.display(description="Versions", ordering="versions_made")
    def versions_count(self, strategy: Any) -> SafeString:
        return _listed("strategyversion", f"strategy__id__exact={strategy.pk}", f"{strategy.versions_made:,}")

    @display(description="Open merge requests", ordering="open_merges")
    def waiting(self, strategy: Any) -> SafeString | None:
        if not strategy.open_merges:
            return None
        where = f"strategy__id__exact={strategy.pk}&status__exact=open"
        return _listed("mergerequest", where, f"{strategy.open_merges:,}")


def _listed(name: str, query: str, text: str) -> SafeString:
    where = reverse(f"admin:strategies_{name}_changelist")
    return format_html('<a class="strategies-link" href="{}?{}">{}</a>', where, query, text)
