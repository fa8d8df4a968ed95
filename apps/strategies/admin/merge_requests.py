"""Merge requests: what collides, side by side, and two ways to end it."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import F, Func, IntegerField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apps.strategies.admin.operating import OperatingAdmin, is_page, link, version_link, without_content
from apps.strategies.admin.versions import COMPARE
from apps.strategies.contents import MAX_DEPTH
from apps.strategies.merge_requests import resolve_version_conflict
from apps.strategies.models import MergeRequest
from apps.strategies.showing.drafts import draft_code, draft_parameters, marked_keys, marked_lines
from apps.strategies.showing.hunks import shown_hunks
from nautilus.api.access import has_role

PAGE = "strategies_mergerequest_change"
_SIDES = ("base", "head", "branch", "result")
_CODE = UnfoldAdminTextareaWidget(attrs={"rows": 28, "class": "strategies-editor", "spellcheck": "false"})
_PARAMETERS = UnfoldAdminTextareaWidget(attrs={"rows": 10, "class": "strategies-editor", "spellcheck": "false"})


def _message_field() -> forms.CharField:
    return forms.CharField(
        max_length=1_000, widget=UnfoldAdminTextInputWidget(), help_text="Why: kept as the version's message"
    )


class LatestForm(BaseDialogForm):
    message = _message_field()


class ManualForm(forms.Form):
    """Code and parameters as they shall be, without a mark of what collided left in them."""

    code = forms.CharField(widget=_CODE, strip=False)
    parameters = forms.CharField(widget=_PARAMETERS, help_text="A JSON object")
    message = _message_field()

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if left := marked_lines(code.replace("\r\n", "\n")):
            raise forms.ValidationError(
                f"Line {left[0]} is still a mark of what collided; write what holds there, and take the marks out."
            )
        return code

    def clean_parameters(self) -> dict[str, Any]:
        try:
            return _unmarked(json.loads(self.cleaned_data["parameters"]))
        except RecursionError as error:
            raise forms.ValidationError(
                f"This is nested too deep to be read. Expected at most {MAX_DEPTH} levels."
            ) from error
        except ValueError as error:
            raise forms.ValidationError(
                f'This is not JSON: {error}. Expected an object, as in {{"days": 20}}.'
            ) from error


def _unmarked(parameters: Any) -> dict[str, Any]:
    """Raises forms.ValidationError for what is no object, and for a mark of what collided."""
    if not isinstance(parameters, dict):
        raise forms.ValidationError(f'Expected an object, as in {{"days": 20}}, not {type(parameters).__name__}.')
    if left := list(marked_keys(parameters)):
        raise forms.ValidationError(f"'{left[0]}' is still a mark of what collided; write the value that holds.")
    return parameters


LATEST: Any = {
    "title": "Resolve with the latest?",
    "description": "The version that was posted last holds as a whole: what the head changed since is left out.",
    "form_class": LatestForm,
    "form_submit_text": "Resolve it",
}


@admin.register(MergeRequest)
class MergeRequestAdmin(OperatingAdmin):
    readers = ("risk_manager", "strategist")
    actions_detail = ["by_hand", "latest"]
    change_form_outer_after_template = "admin/strategies/hunks.html"
    list_display = [
        *("id", "strategy_id", "state", "collides", "base_link", "head_link"),
        *("branch_link", "result_link", "created_by", "created_at", "resolved_by"),
    ]
    list_filter = ["status", "strategy"]
    search_fields = ["=id", "strategy__id", "branch__author", "branch__message"]
    date_hierarchy = "created_at"
    fields = [
        ("strategy_link", "state"),
        ("base_link", "head_link", "branch_link"),
        ("created_by", "created_at"),
        ("resolution", "result_link"),
        ("resolved_by", "resolved_at"),
    ]
    readonly_fields = ["strategy_link", "state", "base_link", "head_link", "branch_link", "result_link"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[MergeRequest]:
        requests = super().get_queryset(request).select_related(*_SIDES, "created_by", "resolved_by")
        requests = without_content(requests, *_SIDES)
        return requests if is_page(request) else _counted(requests).defer("hunks")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        merge = self.get_object(request, object_id) if self.has_view_permission(request) else None
        more = _beside(merge) if merge else {}
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    # --- Buttons

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        is_open = MergeRequest.objects.filter(pk=object_id, status=MergeRequest.Status.OPEN).exists()
        return super().get_actions_detail(request, object_id) if is_open else []

    def has_resolve_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return has_role(request.user, "strategist")  # as in the API; admins have all roles

    @action(description="Resolve with the latest", permissions=["resolve"], icon="merge", dialog=LATEST)
    def latest(self, request: HttpRequest, form: LatestForm, object_id: str) -> HttpResponse:
        merge = self.found(request, object_id)
        self.attempt(request, lambda: self._resolved(request, merge, "latest", message=form.cleaned_data["message"]))
        return self.back(PAGE, merge.pk)

    @action(description="Resolve by hand", permissions=["resolve"], url_path="by-hand", icon="edit")
    def by_hand(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A page with a form: a POST resolves, and what is refused stays in the form."""
        merge = self.found(request, object_id)
        page = HttpResponseRedirect(reverse(f"admin:{PAGE}", args=[merge.pk]))
        if request.method != "POST":
            is_open = merge.status == MergeRequest.Status.OPEN
            return self._form_page(request, merge, ManualForm(initial=_draft(merge))) if is_open else page
        form = ManualForm(request.POST)
        if form.is_valid() and self.attempt(
            request, lambda: self._resolved(request, merge, "manual", **form.cleaned_data)
        ):
            return page
        return self._form_page(request, self.found(request, object_id), form)

    def _resolved(self, request: HttpRequest, merge: MergeRequest, how: str, **given: Any) -> str:
        version = resolve_version_conflict(
            merge.strategy_id, how, merge_request_id=merge.pk, user=request.user, **given
        )
        self.log_change(request, merge, f"Resolved ({how}) as version {version.version}: {given['message']}")
        return f"Resolved: {version} is the head now."

    def _form_page(self, request: HttpRequest, merge: MergeRequest, form: ManualForm) -> HttpResponse:
        around = {**self.admin_site.each_context(request), "title": f"Resolve {merge} by hand", "form": form}
        request.current_app = self.admin_site.name  # unfold's header asks for it
        back = reverse(f"admin:{PAGE}", args=[merge.pk])
        return TemplateResponse(
            request, "admin/strategies/by_hand.html", {**around, **_beside(merge), "back_url": back}
        )

    # --- Columns

    @display(description="Status", ordering="status", label={"open": "warning", "resolved": "success"})
    def state(self, merge: MergeRequest) -> str:
        return merge.status

    @admin.display(description="Collides")
    def collides(self, merge: Any) -> str:
        counts = ((merge.code_hunks, "code"), (merge.parameters_hunks, "parameters"))
        return ", ".join(f"{count} in the {kind}" for count, kind in counts if count)

    @admin.display(description="Strategy", ordering="strategy_id")
    def strategy_link(self, merge: MergeRequest) -> SafeString:
        return link("strategy", merge.strategy_id, merge.strategy_id)

    @admin.display(description="Base", ordering="base__version")
    def base_link(self, merge: MergeRequest) -> SafeString | None:
        return version_link(merge.base)

    @admin.display(description="Head", ordering="head__version")
    def head_link(self, merge: MergeRequest) -> SafeString | None:
        return version_link(merge.head)

    @admin.display(description="Branch", ordering="branch__version")
    def branch_link(self, merge: MergeRequest) -> SafeString | None:
        return version_link(merge.branch)

    @admin.display(description="Result", ordering="result__version")
    def result_link(self, merge: MergeRequest) -> SafeString | None:
        return version_link(merge.result)


def _counted(requests: QuerySet[MergeRequest]) -> QuerySet[MergeRequest]:
    return requests.annotate(code_hunks=_hunks_of("code"), parameters_hunks=_hunks_of("parameters"))


def _hunks_of(kind: str) -> Func:
    """How many there are of a kind, counted where they are kept: a row's have up to three sides of 100 kB each."""
    counting = """jsonb_array_length(jsonb_path_query_array(%(expressions)s, '$[*] ? (@.kind == "%(kind)s")'))"""
    return Func(F("hunks"), template=counting, kind=kind, output_field=IntegerField())


def _beside(merge: MergeRequest) -> dict[str, Any]:
    compare = reverse(COMPARE, args=[merge.strategy_id])
    base, head, branch = (side.version for side in (merge.base, merge.head, merge.branch))
    return {
        "merge": merge,
        "hunks": shown_hunks(merge.hunks),
        "head_changes_url": f"{compare}?from={base}&to={head}",
        "branch_changes_url": f"{compare}?from={base}&to={branch}",
        "both_url": f"{compare}?from={head}&to={branch}",
    }


def _draft(merge: MergeRequest) -> dict[str, str]:
    sides = (merge.base, merge.head, merge.branch)
    parameters = draft_parameters(*(side.parameters for side in sides))
    return {
        "code": draft_code(*(side.code for side in sides)),
        "parameters": json.dumps(parameters, indent=2, sort_keys=True, ensure_ascii=False),
    }
