from django.urls import path

from apps.analytics.api import LatestPerformanceView, PerformanceView

urlpatterns = [
    path("analytics/performance", PerformanceView.as_view()),
    path("analytics/performance/<str:portfolio_id>", LatestPerformanceView.as_view()),
]
