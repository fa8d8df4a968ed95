"""What happened, who is told of it, and whether it arrived."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget

from apps.risk.alert_channels import check_channel, new_secret, shown_target
from apps.risk.alerts import acknowledge_event
from apps.risk.deliveries import resend
from apps.risk.models import AlertChannel, AlertDelivery, DeliveryAttempt, RiskEvent, Severity
from nautilus.api.admin import ReadOnlyAdmin, RoleAdmin
from nautilus.api.errors import DomainError

_SEVERITY_COLOURS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "danger"}


class _Written(TabularInline):
    """Rows that the platform writes beside another: to look at."""

    extra = 0
    can_delete = False
    tab = True
    per_page = 25

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True  # whoever may see the page


class DeliveryInline(_Written):
    model = AlertDelivery
    fields = ["id", "kind", "turn", "status", "attempts", "last_answer", "created_at", "delivered_at"]
    readonly_fields = fields
    show_change_link = True
    ordering = ["created_at"]


@admin.register(RiskEvent)
class RiskEventAdmin(ReadOnlyAdmin):
    inlines = [DeliveryInline]
    actions = ["acknowledge"]
    list_display = ["timestamp", "portfolio_id", "event_type", "how_severe", "message", "goes_on", "acknowledged_by"]
    list_filter = [
        "event_type",
        "severity",
        ("closed_at", admin.EmptyFieldListFilter),
        ("acknowledged_at", admin.EmptyFieldListFilter),
        "portfolio",
    ]
    search_fields = ["message", "portfolio__id"]
    date_hierarchy = "timestamp"
    list_select_related = ["acknowledged_by"]

    @display(description="Severity", ordering="severity", label=_SEVERITY_COLOURS)
    def how_severe(self, event: RiskEvent) -> str:
        return event.severity

    @display(description="Open", boolean=True)
    def goes_on(self, event: RiskEvent) -> bool:
        return event.closed_at is None

    @admin.action(description="Acknowledge", permissions=["view"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[RiskEvent]) -> None:
        for event in queryset:
            acknowledge_event(event, request.user)
        self.message_user(request, f"{len(queryset)} acknowledged.", messages.SUCCESS)


class ChannelForm(forms.ModelForm):
    secret = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Of a webhook: signs its messages. Empty: stays as it is; a new webhook gets one.",
    )

    class Meta:
        model = AlertChannel
        fields = ["portfolio", "kind", "target", "secret", "min_severity", "escalate_after_minutes", "enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.kind == "slack" and "target" in self.fields:
            # Who knows the URL can write to the channel: it is shown to nobody.
            self.initial["target"] = ""
            self.fields["target"].required = False
            self.fields["target"].help_text = "Empty: stays as it is."

    def clean_target(self) -> str:
        return self.cleaned_data["target"] or self.instance.target

    def clean_secret(self) -> str:
        return self.cleaned_data["secret"] or self.instance.secret

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        kind = values.get("kind") or self.instance.kind
        if kind and {"target", "secret"} <= set(values):
            self._check(kind, values["target"], values["secret"])
        return values

    def _check(self, kind: str, target: str, secret: str) -> None:
        try:
            check_channel(kind, target, secret)
        except DomainError as error:
            self.add_error(error.attr if error.attr in self.fields else None, error.sentence)


@admin.register(AlertChannel)
class AlertChannelAdmin(RoleAdmin):
    writers = ("risk_manager",)
    form = ChannelForm
    list_display = ["portfolio_id", "kind", "where", "min_severity", "escalate_after_minutes", "enabled"]
    list_filter = ["kind", "enabled", "min_severity", "portfolio"]
    search_fields = ["portfolio__id"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, self.writers)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ["portfolio", "kind", "created_at", "created_by"] if obj else []

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return [*ChannelForm.Meta.fields, "created_at", "created_by"] if obj else ChannelForm.Meta.fields

    @admin.display(description="Target", ordering="target")
    def where(self, channel: AlertChannel) -> str:
        return shown_target(channel.kind, channel.target)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user
            obj.secret = obj.secret or self._made_secret(request, obj.kind)
        super().save_model(request, obj, form, change)

    def _made_secret(self, request: HttpRequest, kind: str) -> str:
        secret = new_secret(kind)
        if secret:
            self.message_user(request, f"The secret that signs its messages, shown once: {secret}", messages.SUCCESS)
        return secret


class AttemptInline(_Written):
    model = DeliveryAttempt
    fields = ["number", "at", "delivered", "answer", "elapsed_ms"]
    readonly_fields = fields
    verbose_name_plural = "Attempts"


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    inlines = [AttemptInline]
    actions = ["send_again"]
    list_display = ["created_at", "event", "kind", "where", "state", "turn", "attempts", "answer", "next_attempt_at"]
    list_filter = ["status", "kind", "event__portfolio"]
    search_fields = ["id__exact", "target", "event__portfolio__id"]
    date_hierarchy = "created_at"
    list_select_related = ["event"]
    fields = [
        ("id", "state", "turn"),
        ("event", "kind", "where"),
        ("attempts", "next_attempt_at"),
        ("created_at", "delivered_at"),
        "last_answer",
    ]
    readonly_fields = ["id", "state", "where"]

    @display(
        description="Status",
        ordering="status",
        label={"pending": "info", "sending": "info", "delivered": "success", "dead": "danger"},
    )
    def state(self, delivery: AlertDelivery) -> str:
        return delivery.status

    @admin.display(description="Target", ordering="target")
    def where(self, delivery: AlertDelivery) -> str:
        return shown_target(delivery.kind, delivery.target)

    @admin.display(description="Answer")
    def answer(self, delivery: AlertDelivery) -> str:
        return delivery.last_answer[:80]

    @admin.action(description="Send again", permissions=["view"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[AlertDelivery]) -> None:
        for delivery in queryset:
            self._try(request, delivery)

    def _try(self, request: HttpRequest, delivery: AlertDelivery) -> None:
        try:
            resend(delivery)
            self.message_user(request, f"{delivery.pk} is due again.", messages.SUCCESS)
        except DomainError as error:
            self.message_user(request, error.sentence, messages.ERROR)
