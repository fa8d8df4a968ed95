"""Portfolios, their ledger and the prices. What is booked goes through the ledger's operations, and stays."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from apps.portfolios.ledger import book_cash_flow, book_trade, change_portfolio, close_portfolio, open_portfolio
from apps.portfolios.models import (
    CashFlow,
    DailyPrice,
    Instrument,
    Portfolio,
    PortfolioData,
    PortfolioReturn,
    Position,
    PriceVersion,
    Snapshot,
    Trade,
)
from nautilus.api.access import ROLES
from nautilus.api.admin import ReadOnlyAdmin, RoleAdmin
from nautilus.api.errors import DomainError

State = Portfolio.TradingState


class BookedForm(forms.ModelForm):
    """A form whose saving is one operation of the ledger, so that its refusals stand beside the fields."""

    booked: Model
    user: Any = None

    def book(self, values: dict[str, Any], user: Any) -> Model:
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors and self.instance._state.adding:
            self._book(values)
        return values

    def _book(self, values: dict[str, Any]) -> None:
        try:
            self.booked = self.book(values, self.user)
        except DomainError as error:
            raise ValidationError([each.sentence for each in getattr(error, "errors", [error])]) from error

    def _post_clean(self) -> None:
        """The operation has checked and written; the model's own checks would meet the row it made."""

    def save(self, commit: bool = True) -> Model:
        return self.booked

    def save_m2m(self) -> None:
        """Nothing is left to write."""


class TradeForm(BookedForm):
    class Meta:
        model = Trade
        fields = ["portfolio", "instrument", "quantity", "price", "traded_at", "external_id"]

    def book(self, values: dict[str, Any], user: Any) -> Model:
        return book_trade(
            values["portfolio"].pk,
            values["instrument"].pk,
            values["quantity"],
            values["price"],
            values["traded_at"],
            external_id=values["external_id"] or None,
            user=user,
        )


class CashFlowForm(BookedForm):
    class Meta:
        model = CashFlow
        fields = ["portfolio", "amount", "date", "external_id"]

    def book(self, values: dict[str, Any], user: Any) -> Model:
        return book_cash_flow(
            values["portfolio"].pk,
            values["amount"],
            values["date"],
            external_id=values["external_id"] or None,
            user=user,
        )


class BookedAdmin(RoleAdmin):
    """Added through the ledger, read-only once booked."""

    booking_fields: tuple[str, ...] = ()
    readonly_once_booked: tuple[str, ...] = ("ledger_version", "booked_at", "booked_by")

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.booking_fields if obj is None else (*self.booking_fields, *self.readonly_once_booked)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """The form has booked it."""


@admin.register(Trade)
class TradeAdmin(BookedAdmin):
    form = TradeForm
    booking_fields = tuple(TradeForm.Meta.fields)
    list_display = ["portfolio", "instrument", "quantity", "price", "traded_at", "external_id", "booked_by"]
    list_filter = ["portfolio", "instrument"]
    search_fields = ["external_id", "instrument__symbol", "portfolio__id"]
    date_hierarchy = "traded_at"
    list_select_related = ["portfolio", "instrument", "booked_by"]
    ordering = ["-traded_at", "-id"]


@admin.register(CashFlow)
class CashFlowAdmin(BookedAdmin):
    form = CashFlowForm
    booking_fields = tuple(CashFlowForm.Meta.fields)
    list_display = ["portfolio", "amount", "date", "external_id", "booked_by"]
    list_filter = ["portfolio"]
    search_fields = ["external_id", "portfolio__id"]
    list_select_related = ["portfolio", "booked_by"]


class PortfolioForm(BookedForm):
    class Meta:
        model = Portfolio
        fields = ["id", "name", "base_currency", "initial_cash", "inception_date", "benchmark", "groups"]

    def book(self, values: dict[str, Any], user: Any) -> Model:
        return open_portfolio(
            portfolio_id=values["id"],
            name=values["name"],
            base_currency=values["base_currency"],
            initial_cash=values["initial_cash"],
            inception_date=values["inception_date"],
            benchmark=values["benchmark"].pk if values["benchmark"] else None,
            groups=list(values["groups"]),
        )


class ChangePortfolioForm(forms.ModelForm):
    class Meta:
        model = Portfolio
        fields = ["name", "benchmark", "trading_state", "groups"]


@admin.register(Portfolio)
class PortfolioAdmin(RoleAdmin):
    writers = ("risk_manager",)
    actions = ["close"]
    list_display = ["id", "name", "base_currency", "cash", "held", "state", "inception_date", "closed_at"]
    list_filter = ["trading_state", "base_currency", ("closed_at", admin.EmptyFieldListFilter)]
    search_fields = ["id", "name"]
    readonly_fields = ["cash", "ledger_version", "created_at", "closed_at"]
    filter_horizontal = ["groups"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Portfolio]:
        return super().get_queryset(request).annotate(positions_held=Count("positions", filter=~Q(positions=None)))

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = ChangePortfolioForm if obj else PortfolioForm
        form = super().get_form(request, obj, change=change, **kwargs)
        form.user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return [*ChangePortfolioForm.Meta.fields, *self.readonly_fields] if obj else PortfolioForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.readonly_fields if obj else []

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        field.queryset = field.queryset.exclude(name__in=ROLES)  # a role is no desk
        field.required = False
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            values = {name: form.cleaned_data[name] for name in ("name", "trading_state")}
            change_portfolio(obj.pk, {**values, "benchmark": obj.benchmark_id})

    @admin.display(description="Positions", ordering="positions_held")
    def held(self, portfolio: Any) -> int:
        return portfolio.positions_held

    @display(
        description="Trading",
        ordering="trading_state",
        label={State.ACTIVE: "success", State.REDUCING: "warning", State.HALTED: "danger"},
    )
    def state(self, portfolio: Portfolio) -> str:
        return portfolio.trading_state

    @admin.action(description="Close: no more bookings, the books stay readable", permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Portfolio]) -> None:
        for portfolio in queryset:
            close_portfolio(portfolio.pk)
            self.message_user(request, f"{portfolio.pk} is closed.", messages.SUCCESS)


@admin.register(Instrument)
class InstrumentAdmin(RoleAdmin):
    list_display = ["symbol", "name", "currency", "active"]
    list_filter = ["active", "currency"]
    search_fields = ["symbol", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ["symbol", "created_at"] if obj else ["created_at"]


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = ["portfolio", "instrument", "quantity", "average_cost", "updated_at"]
    list_filter = ["portfolio"]
    search_fields = ["instrument__symbol", "portfolio__id"]
    list_select_related = ["portfolio", "instrument"]


@admin.register(PriceVersion)
class PriceVersionAdmin(ReadOnlyAdmin):
    list_display = ["id", "source", "rows_changed", "created_at"]
    search_fields = ["source"]


@admin.register(DailyPrice)
class DailyPriceAdmin(ReadOnlyAdmin):
    list_display = ["instrument", "date", "close", "version_id"]
    search_fields = ["=instrument__symbol"]
    list_filter = ["instrument"]
    ordering = ["-id"]
    show_full_result_count = False  # counting a million rows for a caption


@admin.register(PortfolioData)
class PortfolioDataAdmin(ReadOnlyAdmin):
    list_display = ["portfolio_id", "date", "value", "cash", "net_flow", "gross_exposure", "net_exposure"]
    list_filter = ["portfolio"]
    show_full_result_count = False


@admin.register(PortfolioReturn)
class PortfolioReturnAdmin(ReadOnlyAdmin):
    list_display = ["portfolio_id", "date", "value"]
    list_filter = ["portfolio"]
    show_full_result_count = False


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ["id", "kind", "portfolio_id", "created_at"]
    list_filter = ["kind", "portfolio"]
    search_fields = ["id__startswith"]
