"""How portfolios, trades and prices look over HTTP (contract section 4)."""

from datetime import datetime
from typing import Any

from django.utils.timezone import is_naive
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.portfolios.feed import Freshness
from apps.portfolios.models import CashFlow, DailyPrice, Instrument, Portfolio, Trade, currency_code, readable_id
from apps.portfolios.quote_rows import read_quotes
from apps.portfolios.quotes import QuoteBatch
from nautilus.api.serializers import AmountField, StrictSerializer


class MomentField(serializers.DateTimeField):
    """A time with its zone; one without could be anybody's."""

    default_error_messages = {"no_time_zone": "{value} has no time zone; expected e.g. 2022-12-28T21:00:00Z."}

    def enforce_timezone(self, value: datetime) -> datetime:
        if is_naive(value):
            self.fail("no_time_zone", value=value.isoformat())
        return super().enforce_timezone(value)


class PortfolioSerializer(serializers.ModelSerializer):
    """A portfolio with what it is worth; expects the valuations by id in its context."""

    initial_cash = serializers.FloatField()
    cash = serializers.FloatField()
    benchmark = serializers.CharField(source="benchmark_id", allow_null=True)
    groups: serializers.Field = serializers.SlugRelatedField("name", many=True, read_only=True)
    value = serializers.FloatField(allow_null=True)
    value_reason = serializers.CharField(allow_null=True, help_text="Why `value` is null")
    exposure = serializers.FloatField(allow_null=True, help_text="Gross: longs and shorts added up")
    gross_exposure = serializers.FloatField(allow_null=True)
    net_exposure = serializers.FloatField(allow_null=True)
    positions_count = serializers.IntegerField()
    as_of = serializers.DateField(allow_null=True, help_text="The oldest close in the value; null without positions")

    class Meta:
        model = Portfolio
        fields = [
            "id",
            "name",
            "base_currency",
            "initial_cash",
            "inception_date",
            "benchmark",
            "groups",
            "trading_state",
            "short_selling_allowed",
            "leverage_allowed",
            "created_at",
            "closed_at",
            "ledger_version",
            "value",
            "value_reason",
            "cash",
            "exposure",
            "gross_exposure",
            "net_exposure",
            "positions_count",
            "as_of",
        ]

    def to_representation(self, instance: Portfolio) -> dict[str, Any]:
        valuation = self.context["valuations"][instance.id]
        instance.value = valuation.value  # type: ignore[attr-defined]
        instance.value_reason = valuation.reason  # type: ignore[attr-defined]
        instance.exposure = instance.gross_exposure = valuation.gross_exposure  # type: ignore[attr-defined]
        instance.net_exposure = valuation.net_exposure  # type: ignore[attr-defined]
        instance.positions_count = len(valuation.holdings)  # type: ignore[attr-defined]
        instance.as_of = valuation.as_of  # type: ignore[attr-defined]
        return super().to_representation(instance)


class _GroupsField(serializers.ListField):
    child = serializers.CharField(max_length=150)


def _not_all(portfolio_id: str) -> None:
    if portfolio_id.lower() == "all":
        raise serializers.ValidationError(f"'{portfolio_id}' stands for all portfolios together; expected another id.")


class OpenPortfolioSerializer(StrictSerializer):
    id = serializers.CharField(
        required=False, max_length=64, validators=[readable_id, _not_all], help_text="Left out, the next PORTFOLIO_nnn"
    )
    name = serializers.CharField(max_length=200)
    base_currency = serializers.CharField(max_length=3, validators=[currency_code])
    initial_cash = AmountField()
    inception_date = serializers.DateField()
    benchmark = serializers.CharField(max_length=32, default=None, allow_null=True)
    groups = _GroupsField(required=False, max_length=50, help_text="Who may see it; left out, all your own groups")


class ChangePortfolioSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    benchmark = serializers.CharField(max_length=32, required=False, allow_null=True)
    groups = _GroupsField(required=False, max_length=50)
    trading_state = serializers.ChoiceField(
        Portfolio.TradingState.choices, required=False, help_text="Risk managers only"
    )
    short_selling_allowed = serializers.BooleanField(
        required=False,
        help_text="Without it no order is approved that would sell more than is held; risk managers only",
    )
    leverage_allowed = serializers.BooleanField(
        required=False,
        help_text="Without it no order is approved that would cost more than the cash; risk managers only",
    )


class PositionSerializer(serializers.Serializer):
    symbol = serializers.CharField()
    quantity = serializers.FloatField()
    average_cost = serializers.FloatField()
    price = serializers.FloatField(allow_null=True)
    price_date = serializers.DateField(allow_null=True)
    value = serializers.FloatField(allow_null=True)
    weight = serializers.FloatField(allow_null=True, help_text="Part of the portfolio's value, cash included")
    unrealized_pnl = serializers.FloatField(allow_null=True)


class TradeSerializer(serializers.ModelSerializer):
    portfolio_id = serializers.CharField()
    symbol = serializers.CharField(source="instrument_id")
    quantity = serializers.FloatField()
    price = serializers.FloatField()
    booked_by = serializers.CharField(source="booked_by.username", allow_null=True, default=None)

    class Meta:
        model = Trade
        fields = [
            "id",
            "portfolio_id",
            "symbol",
            "quantity",
            "price",
            "traded_at",
            "external_id",
            "reservation_id",
            "ledger_version",
            "booked_at",
            "booked_by",
        ]


class BookTradeSerializer(StrictSerializer):
    symbol = serializers.CharField(max_length=32)
    quantity = AmountField(zero=False, help_text="Negative sells")
    price = AmountField(positive=True)
    traded_at = MomentField()
    external_id = serializers.CharField(
        max_length=100, default=None, allow_null=True, help_text="Makes it repeat-safe; left out, a repeat books again"
    )
    reservation_id = serializers.UUIDField(default=None, allow_null=True, help_text="Settles this reservation")


class TradeImportSerializer(serializers.Serializer):
    """What an import of trades came to."""

    booked = serializers.IntegerField()
    already_booked = serializers.IntegerField()
    ledger_version = serializers.IntegerField()


class CashFlowSerializer(serializers.ModelSerializer):
    portfolio_id = serializers.CharField()
    amount = serializers.FloatField()
    booked_by = serializers.CharField(source="booked_by.username", allow_null=True, default=None)

    class Meta:
        model = CashFlow
        fields = ["id", "portfolio_id", "amount", "date", "external_id", "ledger_version", "booked_at", "booked_by"]


class BookCashFlowSerializer(StrictSerializer):
    amount = AmountField(zero=False, help_text="Positive pays in, negative out")
    date = serializers.DateField()
    external_id = serializers.CharField(max_length=100, default=None, allow_null=True)


class InstrumentSerializer(serializers.ModelSerializer):
    """Expects the latest closes by symbol in its context."""

    price = serializers.SerializerMethodField(help_text="The latest close")
    price_date = serializers.SerializerMethodField()
    average_daily_volume = serializers.FloatField(
        read_only=True, allow_null=True, help_text="Units traded a day; null where unknown"
    )

    price_tick = serializers.FloatField(allow_null=True, help_text="Prices of orders are multiples of it")
    quantity_step = serializers.FloatField(allow_null=True, help_text="Quantities of orders are multiples of it")
    min_quantity = serializers.FloatField(allow_null=True, help_text="Least quantity of an order")
    max_quantity = serializers.FloatField(allow_null=True, help_text="Greatest quantity of an order")

    class Meta:
        model = Instrument
        fields = [
            "symbol",
            "name",
            "currency",
            "active",
            "price",
            "price_date",
            "sector",
            "average_daily_volume",
            "price_tick",
            "quantity_step",
            "min_quantity",
            "max_quantity",
        ]

    def get_price(self, instrument: Instrument) -> float | None:
        close = self.context["closes"].get(instrument.symbol)
        return close.close if close else None

    def get_price_date(self, instrument: Instrument) -> str | None:
        close = self.context["closes"].get(instrument.symbol)
        return close.date.isoformat() if close else None


class PriceSerializer(serializers.ModelSerializer):
    symbol = serializers.CharField(source="instrument_id")
    price_version = serializers.IntegerField(source="version_id", help_text="The import that it came with")

    class Meta:
        model = DailyPrice
        fields = ["symbol", "date", "close", "price_version"]


class FeedSerializer(serializers.Serializer):
    status = serializers.ChoiceField(Freshness.choices, source="feed.status")
    reason = serializers.CharField(source="feed.reason", allow_null=True, help_text="Why the feed is not live")
    source = serializers.CharField(  # type: ignore[assignment]  # a field, not Field.source
        source="feed.source", allow_null=True, help_text="Of the last quotes; where there are none, the last import"
    )
    symbols = serializers.IntegerField(source="feed.symbols", help_text="With a quote; where there are none, a close")
    stale_symbols = serializers.IntegerField(
        source="feed.stale_symbols", help_text="Whose newest quote is older than NAUTILUS_FEED_STALE_SECONDS"
    )
    last_update = serializers.DateTimeField(
        source="feed.last_update", allow_null=True, help_text="The moment that the newest quote is of"
    )
    lag_seconds = serializers.FloatField(source="feed.lag_seconds", allow_null=True, help_text="Its age")
    updates_per_second = serializers.FloatField(
        source="feed.updates_per_second", help_text="Quotes accepted a second, over the last five"
    )
    price_version = serializers.IntegerField(help_text="Of the imported closes")


class QuoteSerializer(serializers.Serializer):
    symbol = serializers.CharField(max_length=32)
    price = serializers.FloatField(help_text="In the instrument's currency; above zero, at most 1e15")
    timestamp = serializers.DateTimeField(help_text="With its zone; at most 60 s from now")


@extend_schema_field(QuoteSerializer(many=True))
class QuotesField(serializers.Field):
    """A list of quotes as columns; checked in one go, as a serializer a row would take a second for 10,000."""

    def to_internal_value(self, data: Any) -> QuoteBatch:
        return read_quotes(data)


class SendQuotesSerializer(StrictSerializer):
    quotes = QuotesField(help_text="At most 10,000; of several of a symbol the newest counts")


class AcceptedQuotesSerializer(serializers.Serializer):
    accepted = serializers.IntegerField(help_text="Newer than the newest of their symbol")
    older = serializers.IntegerField(help_text="Not newer than the newest of their symbol: dropped")
    symbols = serializers.IntegerField(help_text="How many were named in the call")
