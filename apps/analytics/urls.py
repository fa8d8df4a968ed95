from django.urls import path

from apps.analytics.api import LatestPerformanceView, PerformanceView
from apps.analytics.report_api import ReportView
from apps.analytics.streaming_api import RestartStreamingView, StreamingStatusView

urlpatterns = [
    path("analytics/performance", PerformanceView.as_view()),
    path("analytics/streaming/status", StreamingStatusView.as_view()),
    path("analytics/streaming/restart", RestartStreamingView.as_view()),
    path("analytics/performance/<str:portfolio_id>", LatestPerformanceView.as_view()),
    path("analytics/performance/<str:portfolio_id>/report", ReportView.as_view()),
]
