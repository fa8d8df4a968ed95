"""Changes of limits that wait for approval: decided on here by another than who asked for them."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import action, display

from apps.risk.limits import approve_change, reject_change
from apps.risk.models import LimitChange
from nautilus.api.access import has_role
from nautilus.api.admin import ReadOnlyAdmin
from nautilus.api.errors import DomainError

Decide = Callable[..., LimitChange]

# Asked back, as a page's buttons are links, and a link must not change anything.
APPROVAL: Any = {
    "title": "Approve this change?",
    "description": "It takes effect at once.",
    "form_submit_text": "Approve it",
}
REJECTION: Any = {
    "title": "Reject this change?",
    "description": "The limit stays as it is.",
    "form_submit_text": "Reject it",
}


@admin.register(LimitChange)
class LimitChangeAdmin(ReadOnlyAdmin):
    actions = ["approve_chosen", "reject_chosen"]
    actions_detail = ["approve", "reject"]
    list_display = ["id", "limit_name", "what", "reason", "state", "requested_by", "requested_at", "decided_by"]
    list_filter = ["status", "deletes", "limit__portfolio"]
    search_fields = ["limit_name", "reason"]
    list_select_related = ["requested_by", "decided_by"]
    date_hierarchy = "requested_at"

    @admin.display(description="Change")
    def what(self, change: LimitChange) -> str:
        return "delete" if change.deletes else ", ".join(f"{name}: {value}" for name, value in change.changes.items())

    @display(
        description="Status",
        ordering="status",
        label={"pending": "warning", "approved": "success", "rejected": "danger"},
    )
    def state(self, change: LimitChange) -> str:
        return change.status

    def has_decide_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return has_role(request.user, "risk_manager")

    @admin.action(description="Approve", permissions=["decide"])
    def approve_chosen(self, request: HttpRequest, queryset: QuerySet[LimitChange]) -> None:
        self._decide(request, approve_change, queryset.values_list("pk", flat=True))

    @admin.action(description="Reject", permissions=["decide"])
    def reject_chosen(self, request: HttpRequest, queryset: QuerySet[LimitChange]) -> None:
        self._decide(request, reject_change, queryset.values_list("pk", flat=True))

    @action(description="Approve", permissions=["decide"], icon="check", dialog=APPROVAL)
    def approve(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._decide_one(request, approve_change, object_id)

    @action(description="Reject", permissions=["decide"], icon="close", dialog=REJECTION)
    def reject(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self._decide_one(request, reject_change, object_id)

    def _decide_one(self, request: HttpRequest, decide: Decide, object_id: str) -> HttpResponse:
        self._decide(request, decide, [int(object_id)])
        back = reverse("admin:risk_limitchange_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": back})  # the dialog is HTMX's

    def _decide(self, request: HttpRequest, decide: Decide, change_ids: Iterable[int]) -> None:
        for change_id in change_ids:
            try:
                change = decide(change_id, user=request.user)
                self.message_user(request, f"Change {change.pk} is {change.status}.", messages.SUCCESS)
            except DomainError as error:
                self.message_user(request, error.sentence, messages.ERROR)
