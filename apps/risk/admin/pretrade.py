"""Pre-trade decisions to look at, and the switch that stops all trading."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from apps.risk.halting import set_trading_state_of_all
from apps.risk.models import PreTradeDecision, TradingHalt
from nautilus.api.admin import ReadOnlyAdmin, RoleAdmin


@admin.register(PreTradeDecision)
class PreTradeDecisionAdmin(ReadOnlyAdmin):
    list_display = ["evaluated_at", "portfolio_id", "trades", "decided", "reserve", "reasons", "user"]
    list_filter = ["approved", "reserve", "portfolio"]
    list_select_related = ["user"]
    date_hierarchy = "evaluated_at"

    @admin.display(description="Trades")
    def trades(self, decision: PreTradeDecision) -> str:
        told = decision.answer.get("trades") or [decision.answer["trade"]]
        return ", ".join(f"{trade['quantity']:+g} {trade['symbol']}" for trade in told[:5])

    @display(description="Decision", label={"approved": "success", "refused": "danger"})
    def decided(self, decision: PreTradeDecision) -> str:
        return "approved" if decision.approved else "refused"

    @admin.display(description="Reasons")
    def reasons(self, decision: PreTradeDecision) -> str:
        return "; ".join(decision.answer["reasons"])[:300]


@admin.register(TradingHalt)
class TradingHaltAdmin(RoleAdmin):
    """The newest row is in force; to halt, or to lift it, add one."""

    writers = ("risk_manager",)
    list_display = ["set_at", "trading_state", "reason", "set_by"]
    fields = ["trading_state", "reason"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: TradingHalt, form: forms.ModelForm, change: bool) -> None:
        made = set_trading_state_of_all(obj.trading_state, obj.reason, request.user)
        obj.pk, obj.set_at, obj.set_by = made.pk, made.set_at, made.set_by
