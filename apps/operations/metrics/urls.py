from django.urls import path

from apps.operations.metrics.api import MetricsView

urlpatterns = [path("metrics", MetricsView.as_view())]
