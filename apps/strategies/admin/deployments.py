"""Deployments: how far each is and what it does, and the three things that people do with them.

Risk managers read them and approve, operators roll back and clear what is stuck; an operator reads no book, and so
neither reasons, results and logs nor runs and orders. Admins do all.
"""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldBooleanSwitchWidget

from apps.strategies.access import get_deployment_to_roll_back
from apps.strategies.admin.operating import (
    STATUS_COLOURS,
    OperatingAdmin,
    ReasonForm,
    Written,
    is_page,
    link,
    tinted,
    without_content,
)
from apps.strategies.admin.orders import OrderColumns
from apps.strategies.deployments import approve_deployment
from apps.strategies.models import IN_PIPELINE, Deployment, DeploymentOrder, DeploymentRun
from apps.strategies.rollback import roll_back_deployment
from apps.strategies.serializers.deployments import LONGEST_MINUTES
from apps.strategies.showing.timeline import timeline
from apps.strategies.stuck import clear_stuck_deployments
from nautilus.api.access import ADMIN, has_role, sees_every_portfolio

Status = Deployment.Status

PAGE = "strategies_deployment_change"
LONGEST_REASON = 60  # in the list
# What it may hold, and reasons: they name its figures.
_OF_THE_BOOK = ("universe", "reason", "why", "last_error")
_RUNS = {DeploymentRun.Status.SUCCEEDED: "good", DeploymentRun.Status.FAILED: "bad"}
_ORDERS = {
    DeploymentOrder.Status.OPEN: "busy",
    DeploymentOrder.Status.FILLED: "good",
    DeploymentOrder.Status.REFUSED: "bad",
    DeploymentOrder.Status.CANCELLED: "warn",
}


class RollBackForm(ReasonForm):
    to_version = forms.IntegerField(
        required=False,
        min_value=1,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Of the same strategy. Empty: the version that ran before.",
    )
    force = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="Stops it at once and leaves out the backtest. An operator rolls back with it only.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["force"] = not has_role(self.request.user, ADMIN)


class ClearForm(ReasonForm):
    older_than_minutes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=LONGEST_MINUTES,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Empty: as the platform does it by itself.",
    )


APPROVAL: Any = {
    "title": "Approve this deployment?",
    "description": "It becomes active at once and takes the place of what runs there now.",
    "form_class": ReasonForm,
    "form_submit_text": "Approve it",
}
ROLLBACK: Any = {
    "title": "Roll this deployment back?",
    "description": "The version before it, or the one that you name, takes its place. One that is on its way ends.",
    "form_class": RollBackForm,
    "form_submit_text": "Roll it back",
}
CLEARING: Any = {
    "title": "Clear stuck deployments?",
    "description": "What has been on its way for longer fails with Timeout. What waits for approval stays.",
    "form_class": ClearForm,
    "form_submit_text": "Clear them",
}


class RunInline(Written):
    model = DeploymentRun
    verbose_name_plural = "Runs"
    fields = ["day", "state", "attempts", "equity", "weights_shown", "share", "problem", "created_at"]
    readonly_fields = ["state", "weights_shown", "problem"]
    ordering = ["-day"]

    @admin.display(description="Status")
    def state(self, run: DeploymentRun) -> SafeString:
        return tinted(run.status, _RUNS[DeploymentRun.Status(run.status)])

    @admin.display(description="Weights")
    def weights_shown(self, run: DeploymentRun) -> str | None:
        weights = sorted((run.weights or {}).items(), key=lambda each: -abs(each[1]))
        return ", ".join(f"{symbol} {weight:.2%}" for symbol, weight in weights if weight) or None

    @admin.display(description="Error")
    def problem(self, run: DeploymentRun) -> str | None:
        return str(run.error.get("detail", run.error)) if run.error else None


class OrderInline(OrderColumns, Written):
    model = DeploymentOrder
    verbose_name_plural = "Orders"
    fields = ["decided_on", "instrument_id", "amount", "sized_by", "state", "why", "ended_at"]
    readonly_fields = ["decided_on", "instrument_id", "amount", "sized_by", "state", "why"]
    ordering = ["-id"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeploymentOrder]:
        return super().get_queryset(request).select_related("run")

    @admin.display(description="Status")
    def state(self, order: DeploymentOrder) -> SafeString:
        return tinted(order.status, _ORDERS[DeploymentOrder.Status(order.status)])


@admin.register(Deployment)
class DeploymentAdmin(OperatingAdmin):
    readers = ("risk_manager", "operator")
    inlines = [RunInline, OrderInline]
    actions_list = ["clear_stuck"]
    actions_detail = ["approve", "roll_back"]
    change_form_outer_before_template = "admin/strategies/timeline.html"
    list_display = [
        *("id", "state", "strategy_id", "version_shown", "portfolio_id", "environment"),
        *("since", "why", "created_by"),
    ]
    list_filter = ["status", "environment", "strategy", "portfolio"]
    search_fields = ["id", "strategy__id", "portfolio__id"]
    date_hierarchy = "created_at"
    fields = [
        ("strategy_id", "version_shown", "state"),
        ("portfolio_id", "environment", "schedule"),
        "reason",
        "universe",
        ("cost_bps", "start_date", "canary_shown"),
        ("previous_link", "rolls_back_link", "skip_backtest"),
        ("created_by", "approved_by", "ended_by"),
        ("created_at", "approved_at", "ended_at"),
        ("activated_at", "first_day", "last_day"),
        ("failures_in_row", "last_error_at"),
        "last_error",
    ]
    readonly_fields = [
        *("strategy_id", "version_shown", "state", "portfolio_id", "universe", "canary_shown"),
        *("previous_link", "rolls_back_link"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        people = ("created_by", "approved_by", "ended_by")
        deployments = without_content(super().get_queryset(request).select_related("version", *people), "version")
        return deployments.prefetch_related("steps") if is_page(request) else deployments.defer("symbols")

    def get_list_display(self, request: HttpRequest) -> Any:
        return _for_user(request, super().get_list_display(request))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return _for_user(request, super().get_fields(request, obj))

    def get_inlines(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.inlines if sees_every_portfolio(request.user) else []

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        deployment = self.get_object(request, object_id) if self.has_view_permission(request) else None
        with_results = sees_every_portfolio(request.user)
        steps = timeline(deployment, with_results=with_results) if deployment else []
        colour = STATUS_COLOURS[Status(deployment.status)] if deployment else ""
        more = {"deployment": deployment, "colour": colour, "steps": steps, "with_results": with_results}
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    # --- Buttons

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        """Those that the deployment's status leaves; what comes too late all the same is refused by the operation."""
        status = Deployment.objects.filter(pk=object_id).values_list("status", flat=True).first()
        fitting = {"approve": [Status.AWAITING_APPROVAL], "roll_back": [*IN_PIPELINE, Status.ACTIVE]}
        actions = super().get_actions_detail(request, object_id)
        return [each for each in actions if status in fitting[each.path]]

    def has_approve_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, ("risk_manager",))

    def has_roll_back_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may(request, ("operator",))

    def has_clear_permission(self, request: HttpRequest) -> bool:
        return self._may(request, ("operator",))

    @action(
        description="Approve", permissions=["approve"], icon="check", variant=ActionVariant.SUCCESS, dialog=APPROVAL
    )
    def approve(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        deployment = self.found(request, object_id)

        def approve() -> str:
            approve_deployment(deployment.pk, request.user)
            self.log_change(request, deployment, f"Approved: {form.cleaned_data['reason']}")
            return f"{deployment.pk} is approved and active."

        self.attempt(request, approve)
        return self.back(PAGE, deployment.pk)

    @action(description="Roll back", permissions=["roll_back"], icon="undo", dialog=ROLLBACK)
    def roll_back(self, request: HttpRequest, form: RollBackForm, object_id: str) -> HttpResponse:
        deployment = self.found(request, object_id)
        self.attempt(request, lambda: self._rolled_back(request, deployment.pk, **_asked(form)))
        return self.back(PAGE, deployment.pk)

    def _rolled_back(self, request: HttpRequest, deployment_id: str, **asked: Any) -> str:
        deployment = get_deployment_to_roll_back(request.user, deployment_id, force=asked["force"])
        follower, _ = roll_back_deployment(deployment, user=request.user, **asked)
        forced = " with force" if asked["force"] else ""
        self.log_change(request, deployment, f"Rolled back{forced}: {asked['reason']}")
        if follower.pk == deployment.pk:
            return f"{follower.pk} is {follower.status}."  # its reason may be an earlier one, with figures of the book
        return f"{follower.pk} is on its way: it brings {follower.version} back in place of {deployment.pk}."

    @action(description="Clear stuck", permissions=["clear"], icon="cleaning_services", dialog=CLEARING)
    def clear_stuck(self, request: HttpRequest, form: ClearForm) -> HttpResponse:
        self.attempt(request, lambda: self._cleared(request, **form.cleaned_data))
        return self.back("strategies_deployment_changelist")

    def _cleared(self, request: HttpRequest, *, reason: str, older_than_minutes: int | None, **_: Any) -> str:
        cleared = clear_stuck_deployments(older_than_minutes)
        for deployment in Deployment.objects.filter(pk__in=cleared):
            self.log_change(request, deployment, f"Cleared as stuck: {reason}")
        return f"Cleared: {', '.join(cleared)}." if cleared else "No deployment is stuck."

    # --- Columns

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def state(self, deployment: Deployment) -> str:
        return deployment.status

    @admin.display(description="Version", ordering="version__version")
    def version_shown(self, deployment: Deployment) -> str:
        return str(deployment.version.version)

    @admin.display(description="Active since", ordering="activated_at")
    def since(self, deployment: Deployment) -> datetime | None:
        return deployment.activated_at

    @admin.display(description="Reason", ordering="reason")
    def why(self, deployment: Deployment) -> str | None:
        return Truncator(deployment.reason).chars(LONGEST_REASON) or None

    @admin.display(description="May hold")
    def universe(self, deployment: Deployment) -> str:
        return ", ".join(deployment.symbols)

    @admin.display(description="Canary")
    def canary_shown(self, deployment: Deployment) -> str | None:
        canary = deployment.canary
        return f"{canary['share']:.0%} of the portfolio for {canary['days']} trading days" if canary else None

    @admin.display(description="Ran before it")
    def previous_link(self, deployment: Deployment) -> SafeString | None:
        return link("deployment", deployment.previous_id, deployment.previous_id) if deployment.previous_id else None

    @admin.display(description="Rolls back")
    def rolls_back_link(self, deployment: Deployment) -> SafeString | None:
        before = deployment.rolls_back_id
        return link("deployment", before, before) if before else None


def _for_user(request: HttpRequest, names: Any) -> list[Any]:
    """All for those who read every book, as on the page of tasks; else those that say nothing of one."""
    return [name for name in names if sees_every_portfolio(request.user) or name not in _OF_THE_BOOK]


def _asked(form: forms.Form) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in ("force", "to_version", "reason")}
