from django.urls import path

from apps.risk.api import AnalyzeView, MetricsView

urlpatterns = [
    path("analytics/risk/analyze", AnalyzeView.as_view()),
    path("analytics/risk/metrics/<str:portfolio_id>", MetricsView.as_view()),
]
