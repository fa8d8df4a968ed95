"""Limits: what is written here goes through the operations, as in the API, and so waits where that would."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from import_export.admin import ImportExportMixin
from import_export.tmp_storages import CacheStorage
from simple_history.admin import SimpleHistoryAdmin
from unfold.contrib.import_export.forms import ExportForm, ImportForm
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.portfolios.admin import BookedForm
from apps.risk.limit_exchange import FORMATS, WAITS, LimitResource
from apps.risk.limit_kinds import LIMIT_KINDS
from apps.risk.limits import (
    ShownStatus,
    change_limit,
    create_limit,
    delete_limit,
    limits_as_shown,
    shown_status,
    utilization,
)
from apps.risk.models import LimitChange, RiskLimit, Severity
from apps.risk.monitoring import monitor_freshness
from nautilus.api.admin import RoleAdmin
from nautilus.api.errors import DomainError

Status = RiskLimit.Status

_COLOURS = {Status.OK: "success", Status.WARNING: "warning", Status.BREACH: "danger", Status.UNKNOWN: "info"}
_SEVERITY_COLOURS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "danger"}
# Both on a light and on a dark ground.
_BAR_COLOURS = {Status.OK: "#16a34a", Status.WARNING: "#d97706", Status.BREACH: "#dc2626", Status.UNKNOWN: "#6b7280"}
_BAR = (
    '<span title="{title}" style="display:inline-block;position:relative;width:8rem;height:.5rem;border-radius:.25rem;'
    'overflow:hidden;background:rgba(128,128,128,.3)">'
    '<span style="position:absolute;left:0;top:0;bottom:0;width:{part}%;background:{colour}"></span>'
    '<span style="position:absolute;top:0;bottom:0;left:{warning}%;width:2px;background:currentColor"></span>'
    "</span> {text}"
)
LARGEST_FILE_BYTES = 1_000_000


def _reason_field(help_text: str = "Kept in the limit's history") -> forms.CharField:
    return forms.CharField(max_length=1_000, widget=UnfoldAdminTextInputWidget(), help_text=help_text)


# --- Forms -------------------------------------------------------------------------------------------------------

_TERMS = ["instrument", "threshold_value", "warning_threshold", "action", "severity", "active"]
_TERMS += ["effective_from", "effective_to"]


class LimitForm(BookedForm):
    waiting: LimitChange | None = None
    severity = forms.ChoiceField(
        choices=[("", "as usual: critical where it blocks, warning where it warns"), *Severity.choices],
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text="Of a breach",
    )
    reason = _reason_field()

    class Meta:
        model = RiskLimit
        fields = ["portfolio", "kind", *_TERMS]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "warning_threshold" in self.fields:
            self.fields["warning_threshold"].required = False
        if self.instance._state.adding and "severity" in self.fields:
            self.initial["severity"] = ""

    def book(self, values: dict[str, Any], user: Any) -> Model:
        asked = _as_terms(values, _TERMS)
        return create_limit(values["portfolio"].pk, values["kind"], asked, user=user, reason=values["reason"])


class ChangeLimitForm(LimitForm):
    class Meta:
        model = RiskLimit
        fields = _TERMS

    def book(self, values: dict[str, Any], user: Any) -> Model:
        changes = _as_terms(values, [name for name in _TERMS if name in self.changed_data])
        limit, self.waiting = change_limit(self.instance.pk, changes, user=user, reason=values["reason"])
        return limit


def _as_terms(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    asked = {name: values[name] for name in names}
    if "instrument" in asked:
        instrument = asked.pop("instrument")
        asked["symbol"] = instrument.pk if instrument else None
    if "severity" in asked:
        asked["severity"] = asked["severity"] or None
    return asked


class DeleteForm(BaseDialogForm):
    reason = _reason_field()


class LimitImportForm(ImportForm):
    def clean_import_file(self) -> Any:
        file = self.cleaned_data["import_file"]
        if file.size > LARGEST_FILE_BYTES:
            raise forms.ValidationError(
                f"{file.size} bytes; expected at most {LARGEST_FILE_BYTES}, some thousand limits. Split the file."
            )
        return file


DELETION: Any = {
    "title": "Delete this limit?",
    "description": "Its history stays. A limit that blocks is deleted once somebody else has approved it.",
    "form_class": DeleteForm,
    "form_submit_text": "Delete it",
}


# --- Limits ------------------------------------------------------------------------------------------------------


class SeenLimits(ChangeList):
    """The page's limits with what may be said of each now: one question about the monitor for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        freshness = monitor_freshness()
        limits: list[Any] = list(self.result_list)  # type: ignore[has-type]
        for limit in limits:
            limit.seen = shown_status(limit, freshness)
        self.result_list = limits


def _seen(limit: Any) -> ShownStatus:
    return getattr(limit, "seen", None) or shown_status(limit, monitor_freshness())


class LimitExchangeAdmin(ImportExportMixin):
    """Files of limits: checked first and shown, then all rows or none."""

    resource_classes = [LimitResource]
    formats = FORMATS
    import_form_class = LimitImportForm
    export_form_class = ExportForm
    tmp_storage_class = CacheStorage  # the process that confirms need not be the one that checked
    skip_admin_log = True  # the history has it

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_import_data_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_import_data_kwargs(**kwargs), "rollback_on_validation_errors": True}

    def add_data_read_fail_error_to_form(self, form: Any, e: Exception) -> None:
        form.add_error("import_file", f"The file cannot be read in the format that was chosen: {e}.")

    def process_result(self, result: Any, request: HttpRequest) -> HttpResponse:
        if result.has_errors() or result.has_validation_errors():  # it was right when it was checked
            messages.error(request, "Nothing is imported: the limits have changed since the file was checked.")
            return HttpResponseRedirect(reverse("admin:risk_risklimit_import"))
        return super().process_result(result, request)

    def add_success_message(self, result: Any, request: HttpRequest) -> None:
        outcomes = Counter(row.instance.outcome.partition(":")[0] for row in result.rows)
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        level = messages.WARNING if WAITS in outcomes else messages.SUCCESS
        messages.add_message(request, level, f"Imported: {told}.")


@admin.register(RiskLimit)
class RiskLimitAdmin(SimpleHistoryAdmin, LimitExchangeAdmin, RoleAdmin):
    writers = ("risk_manager",)
    actions = ["switch_on", "switch_off"]
    actions_detail = ["remove"]
    list_display = [
        *("id", "portfolio_id", "kind", "instrument_id", "threshold", "current", "used"),
        *("state", "why", "how_severe", "action", "active", "waits"),
    ]
    list_display_links = ["id", "portfolio_id", "kind"]
    list_filter = ["portfolio", "kind", "status", "action", "active"]
    search_fields = ["portfolio__id", "kind", "=instrument__symbol"]
    seen_fields = [
        "state",
        "why",
        "current",
        "used",
        "status_since",
        "evaluated_at",
        "waits",
        "created_at",
        "created_by",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RiskLimit]:
        return limits_as_shown()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SeenLimits

    # --- The form

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = ChangeLimitForm if obj else LimitForm
        form = super().get_form(request, obj, change=change, **kwargs)
        form.user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        if obj is None:
            return [*LimitForm.Meta.fields, "reason"]
        reason = ["reason"] if self.has_change_permission(request, obj) else []
        return ["portfolio", "kind", *_TERMS, *reason, *self.seen_fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ["portfolio", "kind", *self.seen_fields] if obj else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has written it, or asked for the change."""
        obj.waiting = form.waiting

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        if form.waiting:
            return f"Asked for change {form.waiting.pk}, which {WAITS}."
        return super().construct_change_message(request, form, formsets, add)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if not obj.waiting:
            return super().response_change(request, obj)
        _say_waiting(self, request, obj, obj.waiting)
        return HttpResponseRedirect(request.path)

    # --- Actions

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[RiskLimit]) -> None:
        self._switch(request, queryset, active=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[RiskLimit]) -> None:
        self._switch(request, queryset, active=False)

    def _switch(self, request: HttpRequest, limits: QuerySet[RiskLimit], *, active: bool) -> None:
        word = "on" if active else "off"
        for limit in limits:
            try:
                reason = f"switched {word} in the list"
                _, waiting = change_limit(limit.pk, {"active": active}, user=request.user, reason=reason)
            except DomainError as error:
                self.message_user(request, f"{limit}: {error.sentence}", messages.ERROR)
                continue
            if waiting:
                _say_waiting(self, request, limit, waiting)
            else:
                self.message_user(request, f"{limit} is {word}.", messages.SUCCESS)

    @action(description="Delete", permissions=["change"], icon="delete", dialog=DELETION)
    def remove(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        back = reverse("admin:risk_risklimit_changelist")
        try:
            waiting = delete_limit(int(object_id), user=request.user, reason=form.cleaned_data["reason"])
            if waiting:
                _say_waiting(self, request, waiting.limit, waiting)
            else:
                self.message_user(request, "The limit is deleted.", messages.SUCCESS)
        except DomainError as error:
            self.message_user(request, error.sentence, messages.ERROR)
        return HttpResponse(headers={"HX-Redirect": back})  # the dialog is HTMX's

    # --- The history

    def has_change_history_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # nothing is reverted past the operations

    def set_history_delta_changes(self, request: HttpRequest, historical_records: Any, *args: Any) -> None:
        super().set_history_delta_changes(request, historical_records, *args)
        for record in historical_records:
            changes = getattr(record, "history_delta_changes", [])  # the oldest has none
            record.history_delta_changes = [change for change in changes if change["field"] != "Updated at"]

    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "GET":
            raise PermissionDenied
        return super().history_form_view(request, *args, **kwargs)

    # --- Columns

    @admin.display(description="Threshold", ordering="threshold_value")
    def threshold(self, limit: RiskLimit) -> str:
        return LIMIT_KINDS[limit.kind].shown(limit.threshold_value)

    @admin.display(description="Current", ordering="current_value")
    def current(self, limit: RiskLimit) -> str | None:
        return None if limit.current_value is None else LIMIT_KINDS[limit.kind].shown(limit.current_value)

    @admin.display(description="Used", ordering=F("current_value") / F("threshold_value"))
    def used(self, limit: RiskLimit) -> str | None:
        used = utilization(limit)
        if used is None:
            return None
        warning = 100 * limit.warning_threshold / limit.threshold_value
        return format_html(
            _BAR,
            title=f"{100 * used:.0f} % of the threshold; warns at {warning:.0f} %",
            part=f"{100 * min(used, 1):.1f}",
            warning=f"{min(warning, 99):.1f}",
            colour=_BAR_COLOURS[Status(_seen(limit).status)],
            text=f"{100 * used:.0f} %",
        )

    @display(description="Status", ordering="status", label=_COLOURS)
    def state(self, limit: RiskLimit) -> str:
        return _seen(limit).status

    @admin.display(description="Why")
    def why(self, limit: RiskLimit) -> str | None:
        return _seen(limit).reason or None

    @display(description="Severity", ordering="severity", label=_SEVERITY_COLOURS)
    def how_severe(self, limit: RiskLimit) -> str:
        return limit.severity

    @admin.display(description="Waits for approval")
    def waits(self, limit: Any) -> str | None:
        if not limit.pending_changes:
            return None
        change = limit.pending_changes[0]
        where = reverse("admin:risk_limitchange_change", args=[change.pk])
        return format_html('<a href="{}" style="text-decoration:underline">change {}</a>', where, change.pk)


def _say_waiting(page: Any, request: HttpRequest, limit: Any, change: LimitChange) -> None:
    told = f"{limit} stays as it is: change {change.pk} loosens it, and {WAITS} by another risk manager."
    page.message_user(request, told, messages.WARNING)
