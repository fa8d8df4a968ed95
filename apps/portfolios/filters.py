"""Filters of the lists; a name that is not here is refused by the API's conventions."""

from datetime import UTC, date, datetime, time, timedelta

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from apps.portfolios.models import CashFlow, DailyPrice, Instrument, Portfolio, Trade


def _boolean(name: str, **more: object) -> filters.TypedChoiceFilter:
    """`true` or `false`; django-filter's own takes any other word for no filter at all."""
    return filters.TypedChoiceFilter(
        field_name=name, choices=[("true", "true"), ("false", "false")], coerce=lambda text: text == "true", **more
    )


class PortfolioFilter(filters.FilterSet):
    closed = filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")], method="by_closed", help_text="Left out, only open ones"
    )
    benchmark = filters.CharFilter(field_name="benchmark_id")

    class Meta:
        model = Portfolio
        fields = ["closed", "base_currency", "trading_state", "benchmark"]

    @property
    def qs(self) -> QuerySet[Portfolio]:
        found = super().qs
        return found if self.data.get("closed") else found.filter(closed_at=None)

    def by_closed(self, queryset: QuerySet[Portfolio], name: str, value: str) -> QuerySet[Portfolio]:
        return queryset.filter(closed_at__isnull=value == "false")


class TradeFilter(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument_id")
    start = filters.DateFilter(method="from_day", help_text="First day of traded_at, UTC")
    end = filters.DateFilter(method="to_day", help_text="Last day of traded_at, UTC, included")

    class Meta:
        model = Trade
        fields = ["symbol", "external_id", "start", "end"]

    def from_day(self, queryset: QuerySet[Trade], name: str, value: date) -> QuerySet[Trade]:
        return queryset.filter(traded_at__gte=_midnight(value))

    def to_day(self, queryset: QuerySet[Trade], name: str, value: date) -> QuerySet[Trade]:
        return queryset.filter(traded_at__lt=_midnight(value) + timedelta(days=1)) if value < date.max else queryset


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


class CashFlowFilter(filters.FilterSet):
    start = filters.DateFilter(field_name="date", lookup_expr="gte")
    end = filters.DateFilter(field_name="date", lookup_expr="lte")

    class Meta:
        model = CashFlow
        fields = ["external_id", "start", "end"]


class InstrumentFilter(filters.FilterSet):
    active = _boolean("active")

    class Meta:
        model = Instrument
        fields = ["symbol", "currency", "active", "sector"]


class PriceFilter(filters.FilterSet):
    start = filters.DateFilter(field_name="date", lookup_expr="gte")
    end = filters.DateFilter(field_name="date", lookup_expr="lte", help_text="Included")

    class Meta:
        model = DailyPrice
        fields = ["start", "end"]
