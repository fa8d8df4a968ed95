"""`/api/v1/portfolios`: contract section 4. Instruments and prices are market_api.py."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.mixins import ListModelMixin
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import get_visible_portfolio, visible_portfolios
from apps.portfolios.filters import CashFlowFilter, PortfolioFilter, TradeFilter
from apps.portfolios.holdings import Holding, Valuation, value_portfolios
from apps.portfolios.ledger import book_cash_flow, book_trade, change_portfolio, close_portfolio, open_portfolio
from apps.portfolios.models import CashFlow, Portfolio, Trade
from apps.portfolios.opening import chosen_groups
from apps.portfolios.serializers import (
    BookCashFlowSerializer,
    BookTradeSerializer,
    CashFlowSerializer,
    ChangePortfolioSerializer,
    OpenPortfolioSerializer,
    PortfolioSerializer,
    PositionSerializer,
    TradeImportSerializer,
    TradeSerializer,
)
from apps.portfolios.trade_import import import_trades
from apps.portfolios.uploads import FILE_PARSERS, REQUEST_SCHEMA, refuse_large_body, uploaded_file
from nautilus.api.access import Trader, Viewer, has_role
from nautilus.api.pages import PAGE_PARAMETERS, refuse_unknown_parameters
from nautilus.api.views import ApiView

# What a portfolio may do is for risk managers to say; all else of it for traders.
RISK_FIELDS = ("trading_state", "short_selling_allowed", "leverage_allowed")


class TraderOrRiskManager(BasePermission):
    """Traders change a portfolio's name, benchmark and groups; risk managers what it may do."""

    message = "This needs the role 'trader' or 'risk_manager', which your user does not have."

    def has_permission(self, request: Request, view: Any) -> bool:
        return has_role(request.user, "trader") or has_role(request.user, "risk_manager")


def _presented(portfolios: list[Portfolio]) -> list[dict[str, Any]]:
    context = {"valuations": value_portfolios(portfolios)}
    return list(PortfolioSerializer(portfolios, many=True, context=context).data)


class PortfoliosView(ListModelMixin, ApiView):
    roles = {"GET": Viewer, "POST": Trader}
    serializer_class = PortfolioSerializer
    filterset_class = PortfolioFilter
    ordering_fields = ["id", "name", "inception_date", "created_at"]
    queryset = Portfolio.objects.none()

    def get_queryset(self) -> QuerySet[Portfolio]:
        return visible_portfolios(self.request.user).prefetch_related("groups")

    def get(self, request: Request) -> Response:
        """The portfolios that the caller may see, with what they are worth at the latest closes."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(_presented(list(page or [])))

    @extend_schema(request=OpenPortfolioSerializer, responses={201: PortfolioSerializer})
    def post(self, request: Request) -> Response:
        """Open a portfolio, for the members of its groups."""
        serializer = OpenPortfolioSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = dict(serializer.validated_data)
        groups = chosen_groups(request.user, fields.pop("groups", None))
        portfolio = open_portfolio(portfolio_id=fields.pop("id", None), groups=groups, **fields)
        location = f"/api/v1/portfolios/{portfolio.id}"
        return Response(_presented([portfolio])[0], status=201, headers={"Location": location})


class PortfolioView(ApiView):
    roles = {"GET": Viewer, "PATCH": TraderOrRiskManager, "DELETE": Trader}
    serializer_class = PortfolioSerializer
    queryset = Portfolio.objects.none()

    def get(self, request: Request, portfolio_id: str) -> Response:
        """One portfolio with what it is worth at the latest closes; closed ones too."""
        return Response(_presented([get_visible_portfolio(request.user, portfolio_id)])[0])

    @extend_schema(request=ChangePortfolioSerializer)
    def patch(self, request: Request, portfolio_id: str) -> Response:
        """Change name, benchmark or groups (traders), or trading state, short selling and leverage (risk managers)."""
        get_visible_portfolio(request.user, portfolio_id)
        serializer = ChangePortfolioSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        changes = dict(serializer.validated_data)
        _check_may_change(request.user, changes)
        if "groups" in changes:
            changes["groups"] = chosen_groups(request.user, changes["groups"])
        return Response(_presented([change_portfolio(portfolio_id, changes)])[0])

    @extend_schema(responses={204: None})
    def delete(self, request: Request, portfolio_id: str) -> Response:
        """Close the portfolio: it leaves the list and takes no bookings, and its book stays readable."""
        get_visible_portfolio(request.user, portfolio_id)
        close_portfolio(portfolio_id)
        return Response(status=204)


def _check_may_change(user: Any, changes: dict[str, Any]) -> None:
    by_role: dict[str, list[str]] = {}
    for field in sorted(changes):
        by_role.setdefault("risk_manager" if field in RISK_FIELDS else "trader", []).append(field)
    for role, fields in sorted(by_role.items()):
        if not has_role(user, role):
            named = ", ".join(fields)
            raise PermissionDenied(f"To change {named} needs the role '{role}', which your user does not have.")


class PositionsView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = PositionSerializer
    filter_backends = []
    queryset = Portfolio.objects.none()

    @extend_schema(
        responses=PositionSerializer(many=True),
        parameters=[OpenApiParameter("symbol", description="Only this position")],
    )
    def get(self, request: Request, portfolio_id: str) -> Response:
        """What is held now, at each symbol's latest close."""
        refuse_unknown_parameters(request, {"symbol"} | PAGE_PARAMETERS - {"ordering"})
        portfolio = get_visible_portfolio(request.user, portfolio_id)
        valuation = value_portfolios([portfolio])[portfolio.id]
        wanted = request.query_params.get("symbol")
        rows: Any = [holding for holding in valuation.holdings if wanted in (None, holding.symbol)]
        page = self.paginate_queryset(rows)
        shown = [_position(valuation, holding) for holding in page or []]
        return self.get_paginated_response(PositionSerializer(shown, many=True).data)


def _position(valuation: Valuation, holding: Holding) -> dict[str, Any]:
    names = ("symbol", "quantity", "average_cost", "price", "price_date", "value", "unrealized_pnl")
    return {**{name: getattr(holding, name) for name in names}, "weight": valuation.weight(holding)}


class TradesView(ListModelMixin, ApiView):
    roles = {"GET": Viewer, "POST": Trader}
    serializer_class = TradeSerializer
    filterset_class = TradeFilter
    ordering_fields = ["id", "traded_at", "booked_at"]
    queryset = Trade.objects.none()

    def get_queryset(self) -> QuerySet[Trade]:
        portfolio = get_visible_portfolio(self.request.user, self.kwargs["portfolio_id"])
        return portfolio.trades.select_related("booked_by").order_by("-traded_at", "-id")

    def get(self, request: Request, portfolio_id: str) -> Response:
        """What was booked, newest first."""
        return self.list(request)

    @extend_schema(request=BookTradeSerializer, responses={201: TradeSerializer})
    def post(self, request: Request, portfolio_id: str) -> Response:
        """Book a trade; with an `external_id`, a repeat answers with the trade that was booked first."""
        get_visible_portfolio(request.user, portfolio_id)
        serializer = BookTradeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        trade = book_trade(portfolio_id, **serializer.validated_data, user=request.user)
        return Response(TradeSerializer(trade).data, status=201)


class FileView(ApiView):
    """The base of what takes a file: its size is looked at before anything else."""

    parser_classes = FILE_PARSERS

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        refuse_large_body(request)
        super().initial(request, *args, **kwargs)


class TradeImportView(FileView):
    roles = {"POST": Trader}
    serializer_class = TradeImportSerializer

    @extend_schema(request=REQUEST_SCHEMA, responses={201: TradeImportSerializer})
    def post(self, request: Request, portfolio_id: str) -> Response:
        """Book all trades of a CSV or Parquet file, or none: symbol, quantity, price, traded_at, external_id."""
        get_visible_portfolio(request.user, portfolio_id)
        _, content = uploaded_file(request)
        booking = import_trades(portfolio_id, content, request.user)
        return Response(TradeImportSerializer(booking).data, status=201)


class CashFlowsView(ListModelMixin, ApiView):
    roles = {"GET": Viewer, "POST": Trader}
    serializer_class = CashFlowSerializer
    filterset_class = CashFlowFilter
    ordering_fields = ["id", "date", "booked_at"]
    queryset = CashFlow.objects.none()

    def get_queryset(self) -> QuerySet[CashFlow]:
        portfolio = get_visible_portfolio(self.request.user, self.kwargs["portfolio_id"])
        return portfolio.cash_flows.select_related("booked_by").order_by("-date", "-id")

    def get(self, request: Request, portfolio_id: str) -> Response:
        """Money paid in and out, newest first."""
        return self.list(request)

    @extend_schema(request=BookCashFlowSerializer, responses={201: CashFlowSerializer})
    def post(self, request: Request, portfolio_id: str) -> Response:
        """Book money paid in (positive) or out (negative) at a day's close; repeat-safe by `external_id`."""
        get_visible_portfolio(request.user, portfolio_id)
        serializer = BookCashFlowSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        fields = dict(serializer.validated_data)
        flow = book_cash_flow(portfolio_id, day=fields.pop("date"), **fields, user=request.user)
        return Response(CashFlowSerializer(flow).data, status=201)
