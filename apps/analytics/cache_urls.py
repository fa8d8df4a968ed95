from django.urls import path

from apps.analytics.cache_api import (
    CacheStatusView,
    ClearView,
    DisableAggressiveModeView,
    EnableAggressiveModeView,
)

urlpatterns = [
    path("cache/enable-aggressive-mode", EnableAggressiveModeView.as_view()),
    path("cache/disable-aggressive-mode", DisableAggressiveModeView.as_view()),
    path("cache/status", CacheStatusView.as_view()),
    path("cache/clear", ClearView.as_view()),
]
