"""Portfolios, their ledger and the prices. What is booked goes through the ledger's operations, and stays."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms.models import construct_instance
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.views import ChangeList

from apps.portfolios.holdings import value_portfolios
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
    Reservation,
    Snapshot,
    Trade,
)
from nautilus.api.access import ROLES, has_role
from nautilus.api.admin import ReadOnlyAdmin, RoleAdmin
from nautilus.api.errors import DomainError

State = Portfolio.TradingState

CLOSING: Any = {
    "title": "Close this portfolio?",
    "description": "It takes no bookings any more and cannot be opened again. Its book stays readable.",
    "form_submit_text": "Close it",
}


class BookedForm(forms.ModelForm):
    """A form whose saving is one operation of the ledger, so that its refusals stand beside the fields."""

    booked: Model
    user: Any = None

    def book(self, values: dict[str, Any], user: Any) -> Model:
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        # Not the inherited one: whether a name is taken is the operation's to say, with its remedy.
        return self.cleaned_data

    def _post_clean(self) -> None:
        self._check_formats()
        if not self.errors:
            self._book()

    def _check_formats(self) -> None:
        """A readable id, a currency code: what the operations take as given, as the API checks it before them."""
        try:
            construct_instance(self, self.instance, self._meta.fields).clean_fields(self._unchecked())
        except ValidationError as error:
            self.add_error(None, error)

    def _unchecked(self) -> set[str]:
        """All but the form's own fields, as far as they were filled in."""
        return {each.name for each in self.instance._meta.fields if not self.cleaned_data.get(each.name)}

    def _book(self) -> None:
        try:
            self.booked = self.book(self.cleaned_data, self.user)
        except DomainError as error:
            for each in getattr(error, "errors", [error]):
                self.add_error(self._field_of(each), each.sentence)

    def _field_of(self, error: DomainError) -> str | None:
        named = {"symbol": "instrument"}.get(error.attr or "", error.attr)
        return named if named in self.fields else None

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


class ChangePortfolioForm(BookedForm):
    class Meta:
        model = Portfolio
        fields = ["name", "benchmark", "trading_state", "short_selling_allowed", "leverage_allowed", "groups"]

    def book(self, values: dict[str, Any], user: Any) -> Model:
        changes = {name: values[name] for name in self.changed_data}
        if "benchmark" in changes:
            changes["benchmark"] = changes["benchmark"].pk if changes["benchmark"] else None
        return change_portfolio(self.instance.pk, changes)


class ValuedPortfolios(ChangeList):
    """The page's portfolios with what they are worth: two queries for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        portfolios: list[Any] = list(self.result_list)  # type: ignore[has-type]
        valuations = value_portfolios(portfolios)
        for portfolio in portfolios:
            portfolio.valuation = valuations[portfolio.pk]
        self.result_list = portfolios


class Held(TabularInline):
    fields = ["instrument", "quantity", "average_cost", "updated_at"]
    readonly_fields = fields
    extra = 0
    can_delete = False
    tab = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return has_role(request.user, "risk_manager")


class PositionInline(Held):
    model = Position
    per_page = 25


class TradeInline(Held):
    model = Trade
    fields = ["instrument", "quantity", "price", "traded_at", "external_id"]
    readonly_fields = fields
    ordering = ["-traded_at", "-id"]
    verbose_name_plural = "Recent trades"
    per_page = 10


@admin.register(Portfolio)
class PortfolioAdmin(RoleAdmin):
    """Who may change what is as in the API: trading states are the risk manager's, all else the trader's."""

    inlines = [PositionInline, TradeInline]
    actions_detail = ["close"]
    list_display = [
        *("id", "name", "base_currency", "value", "cash_shown", "held"),
        *("state", "inception_date", "closed_at"),
    ]
    list_filter = ["trading_state", "base_currency", ("closed_at", admin.EmptyFieldListFilter)]
    search_fields = ["id", "name"]
    readonly_fields = [
        *("base_currency", "initial_cash", "inception_date"),
        *("cash", "ledger_version", "created_at", "closed_at"),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ValuedPortfolios

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_role(request.user, "risk_manager") and (obj is None or obj.closed_at is None)

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = ChangePortfolioForm if obj else PortfolioForm
        form = super().get_form(request, obj, change=change, **kwargs)
        form.user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return [*ChangePortfolioForm.Meta.fields, *self.readonly_fields] if obj else PortfolioForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        if obj is None:
            return []
        traders = [] if has_role(request.user, "trader") else ["name", "benchmark", "groups"]
        return [*traders, *self.readonly_fields]

    def get_inlines(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.inlines if obj else []

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        field.queryset = field.queryset.exclude(name__in=ROLES)  # a role is no desk
        field.required = False
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has opened or changed it."""

    @admin.display(description="Value")
    def value(self, portfolio: Any) -> str:
        value = portfolio.valuation.value
        return f"{value:,.2f}" if value is not None else portfolio.valuation.reason

    @admin.display(description="Cash", ordering="cash")
    def cash_shown(self, portfolio: Portfolio) -> str:
        return f"{portfolio.cash:,.2f}"

    @admin.display(description="Positions")
    def held(self, portfolio: Any) -> int:
        return len(portfolio.valuation.holdings)

    @display(
        description="Trading",
        ordering="trading_state",
        label={State.ACTIVE: "success", State.REDUCING: "warning", State.HALTED: "danger"},
    )
    def state(self, portfolio: Portfolio) -> str:
        return portfolio.trading_state

    def has_close_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return has_role(request.user, "trader") and self.has_change_permission(request)

    @action(description="Close", permissions=["close"], icon="lock", dialog=CLOSING)
    def close(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        try:
            close_portfolio(object_id)
            self.message_user(request, f"{object_id} is closed.", messages.SUCCESS)
        except DomainError as error:
            self.message_user(request, error.sentence, messages.ERROR)
        back = reverse("admin:portfolios_portfolio_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": back})  # the dialog is HTMX's


@admin.register(Instrument)
class InstrumentAdmin(RoleAdmin):
    list_display = ["symbol", "name", "currency", "sector", "average_daily_volume", "active"]
    list_filter = ["active", "currency", "sector"]
    search_fields = ["symbol", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        # The books that hold it are kept in its currency.
        return ["symbol", "currency", "created_at"] if obj else ["created_at"]


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = ["portfolio", "instrument", "quantity", "average_cost", "updated_at"]
    list_filter = ["portfolio"]
    search_fields = ["instrument__symbol", "portfolio__id"]
    list_select_related = ["portfolio", "instrument"]


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at",
        "portfolio",
        "instrument",
        "quantity",
        "open_quantity",
        "price",
        "status",
        "expires_at",
    ]
    list_filter = ["status", "portfolio"]
    search_fields = ["id", "order_id", "portfolio__id"]
    list_select_related = ["portfolio", "instrument"]
    date_hierarchy = "created_at"


@admin.register(PriceVersion)
class PriceVersionAdmin(ReadOnlyAdmin):
    list_display = ["id", "source", "rows_changed", "created_at"]
    search_fields = ["source"]


@admin.register(DailyPrice)
class DailyPriceAdmin(ReadOnlyAdmin):
    list_display = ["instrument_id", "date", "close", "version_id"]
    search_fields = ["=instrument__symbol"]
    list_filter = ["instrument"]
    date_hierarchy = "date"
    ordering = ["-version_id", "-id"]
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        return super().get_queryset(request).defer("inputs", "result")  # read one at a time, on its own page
