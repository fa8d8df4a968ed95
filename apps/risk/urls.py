from django.urls import path

from apps.risk.api.alerts import (
    AcknowledgeView,
    AlertsView,
    ChannelsView,
    ChannelView,
    DeliveriesView,
    DeliveryView,
    ResendView,
    TryChannelsView,
)
from apps.risk.api.analysis import (
    AnalyzeAllView,
    AnalyzeView,
    BacktestView,
    CompareView,
    MetricsView,
    ScenariosView,
    StressView,
)
from apps.risk.api.limits import ApproveChangeView, LimitHistoryView, LimitsView, LimitView, RejectChangeView
from apps.risk.api.monitoring import (
    LimitMonitoringView,
    MonitoringStatusView,
    StartMonitoringView,
    StopMonitoringView,
)
from apps.risk.api.pretrade import (
    BasketCheckView,
    DecisionsView,
    HaltView,
    PreTradeCheckView,
    ReservationsView,
    ReservationView,
)

urlpatterns = [
    path("analytics/risk/analyze", AnalyzeView.as_view()),
    path("analytics/risk/analyze-all", AnalyzeAllView.as_view()),
    path("analytics/risk/compare", CompareView.as_view()),
    path("analytics/risk/backtest", BacktestView.as_view()),
    path("analytics/risk/stress", StressView.as_view()),
    path("analytics/risk/scenarios", ScenariosView.as_view()),
    path("analytics/risk/metrics/<str:portfolio_id>", MetricsView.as_view()),
    path("risk/monitoring/status", MonitoringStatusView.as_view()),
    path("risk/monitoring/start", StartMonitoringView.as_view()),
    path("risk/monitoring/stop", StopMonitoringView.as_view()),
    path("risk/limits", LimitsView.as_view()),
    path("risk/limits/<int:limit_id>", LimitView.as_view()),
    path("risk/limits/<int:limit_id>/history", LimitHistoryView.as_view()),
    path("risk/limits/<int:limit_id>/changes/<int:change_id>/approve", ApproveChangeView.as_view()),
    path("risk/limits/<int:limit_id>/changes/<int:change_id>/reject", RejectChangeView.as_view()),
    path("risk/limits/monitoring/status", LimitMonitoringView.as_view()),
    path("risk/pre-trade-check", PreTradeCheckView.as_view()),
    path("risk/pre-trade-check/batch", BasketCheckView.as_view()),
    path("risk/reservations", ReservationsView.as_view()),
    path("risk/reservations/<uuid:reservation_id>", ReservationView.as_view()),
    path("risk/decisions/<str:portfolio_id>", DecisionsView.as_view()),
    path("risk/halt", HaltView.as_view()),
    # Before the portfolios: theirs may be any other word.
    path("risk/alerts/events/<int:event_id>/acknowledge", AcknowledgeView.as_view()),
    path("risk/alerts/deliveries", DeliveriesView.as_view()),
    path("risk/alerts/deliveries/<uuid:delivery_id>", DeliveryView.as_view()),
    path("risk/alerts/deliveries/<uuid:delivery_id>/resend", ResendView.as_view()),
    path("risk/alerts/<str:portfolio_id>", AlertsView.as_view()),
    path("risk/alerts/<str:portfolio_id>/channels", ChannelsView.as_view()),
    path("risk/alerts/<str:portfolio_id>/channels/<int:channel_id>", ChannelView.as_view()),
    path("risk/alerts/<str:portfolio_id>/test", TryChannelsView.as_view()),
]
