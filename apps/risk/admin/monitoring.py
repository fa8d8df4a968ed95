"""The monitor's one row: how it does, and its switch."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from redis.exceptions import RedisError
from unfold.decorators import display

from apps.risk.models import RiskMonitor
from apps.risk.monitoring import monitor_freshness, start_monitoring, stop_monitoring
from nautilus.api.admin import ReadOnlyAdmin


@admin.register(RiskMonitor)
class RiskMonitorAdmin(ReadOnlyAdmin):
    readers = ("risk_manager", "operator")
    list_display = ["state", "last_run_at", "last_run_seconds", "portfolios_monitored", "limits_monitored", "holder"]
    actions = ["start", "stop"]
    readonly_fields = ["state", "stale_reason"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RiskMonitor]:
        monitor_freshness()  # the row is there from the first look on
        return super().get_queryset(request)

    @display(description="State", label={"running": "success", "stopped": "warning", "stalled": "danger"})
    def state(self, monitor: RiskMonitor) -> str:
        freshness = monitor_freshness()
        return "stopped" if not monitor.enabled else "running" if freshness.running else "stalled"

    @admin.display(description="Why limits may not be as they are shown")
    def stale_reason(self, monitor: RiskMonitor) -> str:
        return monitor_freshness().stale_reason or "-"

    @admin.action(description="Start monitoring", permissions=["view"])
    def start(self, request: HttpRequest, queryset: QuerySet[RiskMonitor]) -> None:
        self._switch(request, start_monitoring, "started")

    @admin.action(description="Stop monitoring", permissions=["view"])
    def stop(self, request: HttpRequest, queryset: QuerySet[RiskMonitor]) -> None:
        self._switch(request, stop_monitoring, "stopped")

    def _switch(self, request: HttpRequest, operation: Callable[[Any], None], done: str) -> None:
        try:
            operation(request.user)
            self.message_user(request, f"Monitoring is {done}.", messages.SUCCESS)
        except RedisError:
            self.message_user(request, "Redis cannot be reached: nothing is changed. Try again.", messages.ERROR)
