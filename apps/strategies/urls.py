from django.urls import path

from apps.strategies.api.deployments import (
    ApproveView,
    ClearStuckView,
    DeploymentsView,
    DeploymentView,
    DeployView,
    OrdersView,
    RollBackView,
    RunsView,
)
from apps.strategies.api.merging import MergeRequestsView, MergeRequestView, ResolveView
from apps.strategies.api.strategies import StrategiesView, StrategyView
from apps.strategies.api.versions import DiffView, RebuildHistoryView, VersionsView, VersionView

urlpatterns = [
    path("strategy/strategies", StrategiesView.as_view()),
    path("strategy/strategies/<str:strategy_id>", StrategyView.as_view()),
    path("strategy/versions/<str:strategy_id>", VersionsView.as_view()),
    path("strategy/versions/<str:strategy_id>/<int:version>", VersionView.as_view()),
    path("strategy/versions/<str:strategy_id>/<int:version>/diff/<int:other>", DiffView.as_view()),
    path("strategy/versions/<str:strategy_id>/resolve", ResolveView.as_view()),
    path("strategy/versions/<str:strategy_id>/rebuild-history", RebuildHistoryView.as_view()),
    path("strategy/versions/<str:strategy_id>/merge-requests", MergeRequestsView.as_view()),
    path("strategy/versions/<str:strategy_id>/merge-requests/<int:merge_request_id>", MergeRequestView.as_view()),
    path("strategy/deploy", DeployView.as_view()),
    path("strategy/rollback", RollBackView.as_view()),
    path("strategy/deployments", DeploymentsView.as_view()),
    # Before the deployments: theirs may be any other word.
    path("strategy/deployments/clear-stuck", ClearStuckView.as_view()),
    path("strategy/deployments/<str:deployment_id>", DeploymentView.as_view()),
    path("strategy/deployments/<str:deployment_id>/approve", ApproveView.as_view()),
    path("strategy/deployments/<str:deployment_id>/runs", RunsView.as_view()),
    path("strategy/deployments/<str:deployment_id>/orders", OrdersView.as_view()),
]
