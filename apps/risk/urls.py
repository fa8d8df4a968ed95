from django.urls import path

from apps.risk.api import AnalyzeAllView, AnalyzeView, BacktestView, CompareView, MetricsView, ScenariosView, StressView

urlpatterns = [
    path("analytics/risk/analyze", AnalyzeView.as_view()),
    path("analytics/risk/analyze-all", AnalyzeAllView.as_view()),
    path("analytics/risk/compare", CompareView.as_view()),
    path("analytics/risk/backtest", BacktestView.as_view()),
    path("analytics/risk/stress", StressView.as_view()),
    path("analytics/risk/scenarios", ScenariosView.as_view()),
    path("analytics/risk/metrics/<str:portfolio_id>", MetricsView.as_view()),
]
