"""`/api/v1/instruments` and `/api/v1/market-data`: contract section 4."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import check_may_import_prices
from apps.portfolios.api import FileView
from apps.portfolios.errors import InstrumentNotFoundError
from apps.portfolios.feed import feed_state
from apps.portfolios.filters import InstrumentFilter, PriceFilter
from apps.portfolios.models import DailyPrice, Instrument
from apps.portfolios.names import is_symbol
from apps.portfolios.price_import import submit_price_import
from apps.portfolios.prices import closes_of, latest_prices
from apps.portfolios.quotes import QuoteBatch, accept_quotes
from apps.portfolios.serializers import (
    AcceptedQuotesSerializer,
    FeedSerializer,
    InstrumentSerializer,
    PriceSerializer,
    SendQuotesSerializer,
)
from apps.portfolios.uploads import REQUEST_SCHEMA, uploaded_file
from apps.tasks.api import AcceptedSerializer, accepted
from nautilus.api.access import ViewerOrOperator
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.views import ApiView


class MayImportPrices(BasePermission):
    def has_permission(self, request: Request, view: object) -> bool:
        if not request.user.is_authenticated:
            return False
        check_may_import_prices(request.user)
        return True


class InstrumentsView(ListModelMixin, ApiView):
    permission_classes = [ViewerOrOperator]
    serializer_class = InstrumentSerializer
    filterset_class = InstrumentFilter
    ordering_fields = ["symbol", "name"]
    queryset = Instrument.objects.all()

    def get(self, request: Request) -> Response:
        """Everything that can be traded or compared with, with its latest close."""
        page = list(self.paginate_queryset(self.filter_queryset(self.get_queryset())) or [])
        closes = latest_prices(instrument.symbol for instrument in page)
        return self.get_paginated_response(InstrumentSerializer(page, many=True, context={"closes": closes}).data)


class InstrumentPricesView(ListModelMixin, ApiView):
    permission_classes = [ViewerOrOperator]
    serializer_class = PriceSerializer
    filterset_class = PriceFilter
    ordering_fields = ["date"]
    queryset = DailyPrice.objects.none()

    def get_queryset(self) -> QuerySet[DailyPrice]:
        symbol = self.kwargs["symbol"]
        if not is_symbol(symbol) or not Instrument.objects.filter(pk=symbol).exists():
            raise InstrumentNotFoundError(symbol)
        return closes_of(symbol)

    def filter_queryset(self, queryset: Any) -> Any:
        ordered = super().filter_queryset(queryset)
        # The newest version of each date comes first, and DISTINCT ON keeps it.
        backwards = "-date" in ordered.query.order_by
        return ordered.order_by("-date" if backwards else "date", "-version_id")

    def get(self, request: Request, symbol: str) -> Response:
        """A symbol's daily closes as they stand now, oldest first."""
        return self.list(request)


class PriceImportView(FileView):
    roles = {"POST": MayImportPrices}
    serializer_class = AcceptedSerializer

    @extend_schema(request=REQUEST_SCHEMA, responses={202: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        """Import daily closes: `date` and a column a symbol, or `date,symbol,close`. All or nothing, repeatable."""
        name, content = uploaded_file(request)
        return accepted(submit_price_import(name, content, request.user))


class QuotesView(ApiView):
    roles = {"POST": MayImportPrices}
    serializer_class = SendQuotesSerializer

    @extend_schema(responses=AcceptedQuotesSerializer)
    def post(self, request: Request) -> Response:
        """Live prices, up to 10,000 a call. All are checked first: one that is wrong, and none is taken."""
        batch: QuoteBatch = self.validated(request)["quotes"]
        source = f"API, {request.user.get_username()}"
        accepted = accept_quotes(batch.symbols, batch.prices, batch.timestamps_us, source)
        return Response({**asdict(accepted), "symbols": len(set(batch.symbols))})


class FeedView(ApiView):
    permission_classes = [ViewerOrOperator]
    serializer_class = FeedSerializer

    def get(self, request: Request) -> Response:
        """How fresh the live prices are; where there are none, the last import in their place."""
        refuse_unknown_parameters(request, {"format"})
        return Response(FeedSerializer(feed_state()).data)
