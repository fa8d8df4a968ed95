from django.urls import path

from apps.operations.api.views import AnalyticsHealthView, RiskHealthView, SystemHealthView

urlpatterns = [
    path("system/health", SystemHealthView.as_view()),
    path("risk/health", RiskHealthView.as_view()),
    path("analytics/health", AnalyticsHealthView.as_view()),
]
