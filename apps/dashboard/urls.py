"""The dashboard's pages. Trailing slashes are taken off before they come here."""

from django.urls import path

from apps.dashboard.pages.deployment import DeploymentPage
from apps.dashboard.pages.limits import LimitsPage
from apps.dashboard.pages.merge_request import MergeRequestPage
from apps.dashboard.pages.operations import (
    CacheSection,
    HealthSection,
    MarketDataSection,
    MonitoringSection,
    OperationsPage,
    QueuesSection,
    RunbookPage,
    SocketsSection,
)
from apps.dashboard.pages.overview import OverviewPage
from apps.dashboard.pages.performance import PerformancePage
from apps.dashboard.pages.portfolio import PortfolioPage
from apps.dashboard.pages.sign_in import SignInPage, SignOut
from apps.dashboard.pages.strategies import StrategiesPage
from apps.dashboard.pages.strategy import StrategyPage
from apps.dashboard.pages.tasks import TaskPage, TasksPage

app_name = "dashboard"

urlpatterns = [
    path("", OverviewPage.as_view(), name="overview"),
    path("portfolios", PortfolioPage.as_view(), name="portfolio"),
    path("portfolios/<str:portfolio_id>", PortfolioPage.as_view(), name="portfolio"),
    path("performance", PerformancePage.as_view(), name="performance"),
    path("performance/<str:portfolio_id>", PerformancePage.as_view(), name="performance"),
    path("limits", LimitsPage.as_view(), name="limits"),
    path("strategies", StrategiesPage.as_view(), name="strategies"),
    path("strategies/<str:strategy_id>", StrategyPage.as_view(), name="strategy"),
    path(
        "strategies/<str:strategy_id>/merge-requests/<int:merge_request_id>",
        MergeRequestPage.as_view(),
        name="merge-request",
    ),
    path("deployments/<str:deployment_id>", DeploymentPage.as_view(), name="deployment"),
    path("tasks", TasksPage.as_view(), name="tasks"),
    path("tasks/<uuid:task_id>", TaskPage.as_view(), name="task"),
    path("operations", OperationsPage.as_view(), name="operations"),
    path("operations/health", HealthSection.as_view(), name="operations-health"),
    path("operations/queues", QueuesSection.as_view(), name="operations-queues"),
    path("operations/sockets", SocketsSection.as_view(), name="operations-sockets"),
    path("operations/market-data", MarketDataSection.as_view(), name="operations-market-data"),
    path("operations/monitoring", MonitoringSection.as_view(), name="operations-monitoring"),
    path("operations/cache", CacheSection.as_view(), name="operations-cache"),
    path("operations/runbook", RunbookPage.as_view(), name="runbook"),
    path("operations/runbook/<slug:section>", RunbookPage.as_view(), name="runbook"),
    path("sign-in", SignInPage.as_view(), name="sign-in"),
    path("sign-out", SignOut.as_view(), name="sign-out"),
]
