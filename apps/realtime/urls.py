from django.urls import path

from apps.realtime.api import (
    BroadcastView,
    ConnectionStatsView,
    PerformanceView,
    RestartSocketsView,
    SubscriptionsView,
)

urlpatterns = [
    path("websocket/stats", ConnectionStatsView.as_view()),
    path("websocket/subscriptions", SubscriptionsView.as_view()),
    path("websocket/performance", PerformanceView.as_view()),
    path("websocket/broadcast", BroadcastView.as_view()),
    path("websocket/restart", RestartSocketsView.as_view()),
]
