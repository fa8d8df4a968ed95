from django.urls import path

from apps.portfolios.api import (
    CashFlowsView,
    PortfoliosView,
    PortfolioView,
    PositionsView,
    TradeImportView,
    TradesView,
)
from apps.portfolios.market_api import FeedView, InstrumentPricesView, InstrumentsView, PriceImportView, QuotesView
from apps.portfolios.snapshot_api import ReplayView, SnapshotView

urlpatterns = [
    path("portfolios", PortfoliosView.as_view()),
    path("portfolios/<str:portfolio_id>", PortfolioView.as_view()),
    path("portfolios/<str:portfolio_id>/positions", PositionsView.as_view()),
    path("portfolios/<str:portfolio_id>/trades", TradesView.as_view()),
    path("portfolios/<str:portfolio_id>/trades/import", TradeImportView.as_view()),
    path("portfolios/<str:portfolio_id>/cash-flows", CashFlowsView.as_view()),
    path("instruments", InstrumentsView.as_view()),
    path("instruments/<str:symbol>/prices", InstrumentPricesView.as_view()),
    path("market-data/import", PriceImportView.as_view()),
    path("market-data/quotes", QuotesView.as_view()),
    path("market-data/status", FeedView.as_view()),
    path("snapshots/<str:snapshot_id>", SnapshotView.as_view()),
    path("snapshots/<str:snapshot_id>/replay", ReplayView.as_view()),
]
