"""Orders: what deployments wanted to trade, and what became of it."""

from datetime import date

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from apps.strategies.admin.operating import OperatingAdmin, link
from apps.strategies.models import DeploymentOrder

Status = DeploymentOrder.Status

ORDER_COLOURS = {
    Status.OPEN: "info",
    Status.FILLED: "success",
    Status.REFUSED: "danger",
    Status.CANCELLED: "warning",
}


class OrderColumns:
    """Of the list and of the rows beside a deployment."""

    @admin.display(description="Quantity", ordering="quantity")
    def amount(self, order: DeploymentOrder) -> str:
        return f"{order.quantity.normalize():+,f}"

    @admin.display(description="Price", ordering="decided_price")
    def sized_by(self, order: DeploymentOrder) -> str:
        return f"{order.decided_price:,.2f}"

    @admin.display(description="Decided on", ordering="run__day")
    def decided_on(self, order: DeploymentOrder) -> date:
        return order.run.day

    @admin.display(description="Why")
    def why(self, order: DeploymentOrder) -> str | None:
        return "; ".join(str(reason) for reason in order.reasons) or None


@admin.register(DeploymentOrder)
class DeploymentOrderAdmin(OrderColumns, OperatingAdmin):
    list_display = [
        *("id", "deployment_link", "decided_on", "instrument_id", "amount", "sized_by"),
        *("state", "why", "trade_link", "created_at", "ended_at"),
    ]
    list_filter = ["status", "deployment__strategy", "deployment__portfolio", "deployment__environment"]
    search_fields = ["=deployment__id", "=instrument__symbol"]
    date_hierarchy = "created_at"
    list_select_related = ["run"]
    fields = [
        ("deployment_link", "decided_on", "state"),
        ("instrument_id", "amount", "sized_by"),
        "why",
        "trade_link",
        ("created_at", "ended_at"),
    ]
    readonly_fields = [
        *("deployment_link", "decided_on", "state", "instrument_id", "amount", "sized_by"),
        *("why", "trade_link", "created_at", "ended_at"),
    ]

    @display(description="Status", ordering="status", label=ORDER_COLOURS)
    def state(self, order: DeploymentOrder) -> str:
        return order.status

    @admin.display(description="Deployment", ordering="deployment_id")
    def deployment_link(self, order: DeploymentOrder) -> SafeString:
        return link("deployment", order.deployment_id, order.deployment_id)

    @admin.display(description="Trade", ordering="trade_id")
    def trade_link(self, order: DeploymentOrder) -> SafeString | None:
        if order.trade_id is None:
            return None
        where = reverse("admin:portfolios_trade_change", args=[order.trade_id])
        return format_html('<a class="strategies-link" href="{}">trade {}</a>', where, order.trade_id)
