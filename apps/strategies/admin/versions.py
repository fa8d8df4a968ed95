"""Versions: what was written, by whom, on top of what, and where it runs. Nobody changes one."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from apps.strategies.access import get_strategy, visible_deployments
from apps.strategies.admin.operating import (
    STATUS_COLOURS,
    OperatingAdmin,
    is_page,
    short_hash,
    version_link,
    without_content,
)
from apps.strategies.errors import VersionNotFoundError
from apps.strategies.models import Deployment, Strategy, StrategyVersion
from apps.strategies.showing.comparison import as_json, compare
from apps.strategies.versions import get_version
from nautilus.api.access import sees_every_portfolio
from nautilus.api.errors import DomainError

COMPARE = "admin:strategies_strategyversion_compare"
DEPLOYMENTS = 25


class CompareForm(forms.Form):
    """Which two: read from the address by the page itself."""

    def __init__(self, strategy: Strategy, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        listed = strategy.versions.order_by("-version").values_list("version", "message")
        choices = [(version, f"{version}: {message[:60]}" if message else str(version)) for version, message in listed]
        for name in ("from", "to"):
            self.fields[name] = forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget())


@admin.register(StrategyVersion)
class StrategyVersionAdmin(OperatingAdmin):
    readers = ("risk_manager", "strategist")
    actions_detail = ["compare_with_parent"]
    change_form_outer_after_template = "admin/strategies/version.html"
    list_display = [
        *("version", "strategy_id", "message", "author", "canonical"),
        *("parent_version", "took_in", "hash_shown", "created_at"),
    ]
    list_filter = ["strategy", "canonical"]
    search_fields = ["strategy__id", "message", "author", "hash__startswith"]
    date_hierarchy = "created_at"
    ordering = ["-created_at", "-id"]
    fields = [
        ("strategy", "version", "canonical"),
        "message",
        ("author", "created_at", "created_by"),
        ("parent_version", "took_in"),
        "whole_hash",
    ]
    readonly_fields = ["parent_version", "took_in", "whole_hash"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StrategyVersion]:
        versions = super().get_queryset(request).select_related("parent", "merged_from", "created_by")
        versions = without_content(versions, "parent", "merged_from")
        return versions if is_page(request) else without_content(versions)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        version = self.get_object(request, object_id)
        more = _beside(request, version) if version and self.has_view_permission(request) else {}
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    # --- Columns

    @admin.display(description="Parent", ordering="parent__version")
    def parent_version(self, version: StrategyVersion) -> SafeString | None:
        return version_link(version.parent)

    @admin.display(description="Merged from", ordering="merged_from__version")
    def took_in(self, version: StrategyVersion) -> SafeString | None:
        return version_link(version.merged_from)

    @admin.display(description="Hash", ordering="hash")
    def hash_shown(self, version: StrategyVersion) -> SafeString:
        return short_hash(version)

    @admin.display(description="Hash")
    def whole_hash(self, version: StrategyVersion) -> SafeString:
        return format_html('<code class="strategies-hash">{}</code>', version.hash)

    # --- Comparing

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.compare_view)
        ours = path("compare/<str:strategy_id>/", page, name="strategies_strategyversion_compare")
        return [ours, *super().get_urls()]

    @action(
        description="Compare with its parent", permissions=["view"], url_path="compare-with-parent", icon="difference"
    )
    def compare_with_parent(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A link: nothing changes by it."""
        version = self.found(request, object_id)
        before = version.parent.version if version.parent else version.version
        where = reverse(COMPARE, args=[version.strategy_id])
        return HttpResponseRedirect(f"{where}?from={before}&to={version.version}")

    def compare_view(self, request: HttpRequest, strategy_id: str) -> HttpResponse:
        """Any two versions of a strategy, `?from=1&to=2`; without them the head and what it was made on."""
        if not self.has_view_permission(request):
            raise Http404("There is no such page for you.")
        try:
            strategy = get_strategy(strategy_id)
            left, right = _chosen(request, strategy)
        except DomainError as error:
            raise Http404(error.sentence) from error
        context = {**self.admin_site.each_context(request), **_compared(request, strategy, left, right)}
        request.current_app = self.admin_site.name  # unfold's header asks for it
        return TemplateResponse(request, "admin/strategies/compare.html", context)


def _beside(request: HttpRequest, version: StrategyVersion) -> dict[str, Any]:
    """The code by lines, the parameters, and those deployments whose portfolio this user may see."""
    deployed = visible_deployments(request.user).filter(version=version)[:DEPLOYMENTS]
    return {
        "version": version,
        "lines": version.code.removesuffix("\n").split("\n"),
        "parameters": [(name, as_json(value)) for name, value in sorted(version.parameters.items())],
        "deployed": [(each, STATUS_COLOURS[Deployment.Status(each.status)]) for each in deployed],
        "links_deployments": sees_every_portfolio(request.user),
    }


def _compared(
    request: HttpRequest, strategy: Strategy, left: StrategyVersion, right: StrategyVersion
) -> dict[str, Any]:
    numbers = {"from": left.version, "to": right.version}
    return {
        "title": f"{strategy.pk}: version {left.version} to version {right.version}",
        "left": left,
        "right": right,
        "sides": (left, right),
        "form": CompareForm(strategy, initial=numbers),
        "comparison": compare(left, right, whole="whole" in request.GET),
        "turned_url": f"?from={right.version}&to={left.version}",
        "whole_url": f"?from={left.version}&to={right.version}&whole",
    }


def _chosen(request: HttpRequest, strategy: Strategy) -> tuple[StrategyVersion, StrategyVersion]:
    """Raises VersionNotFoundError."""
    right = _named(strategy, request.GET.get("to")) or _head(strategy)
    return _named(strategy, request.GET.get("from")) or right.parent or right, right


def _named(strategy: Strategy, number: str | None) -> StrategyVersion | None:
    if not number:
        return None
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise VersionNotFoundError(strategy.pk, number)
    return get_version(strategy.pk, int(number))


def _head(strategy: Strategy) -> StrategyVersion:
    if strategy.head is None:
        raise VersionNotFoundError(strategy.pk, 1)
    return strategy.head
