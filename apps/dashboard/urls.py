"""The dashboard's pages. Trailing slashes are taken off before they come here."""

from django.urls import path

from apps.dashboard.pages.limits import LimitsPage
from apps.dashboard.pages.operations import OperationsPage
from apps.dashboard.pages.overview import OverviewPage
from apps.dashboard.pages.performance import PerformancePage
from apps.dashboard.pages.portfolio import PortfolioPage
from apps.dashboard.pages.sign_in import SignInPage, SignOut
from apps.dashboard.pages.strategies import StrategiesPage
from apps.dashboard.pages.tasks import TasksPage

app_name = "dashboard"

urlpatterns = [
    path("", OverviewPage.as_view(), name="overview"),
    path("portfolios", PortfolioPage.as_view(), name="portfolio"),
    path("portfolios/<str:portfolio_id>", PortfolioPage.as_view(), name="portfolio"),
    path("performance", PerformancePage.as_view(), name="performance"),
    path("performance/<str:portfolio_id>", PerformancePage.as_view(), name="performance"),
    path("limits", LimitsPage.as_view(), name="limits"),
    path("strategies", StrategiesPage.as_view(), name="strategies"),
    path("tasks", TasksPage.as_view(), name="tasks"),
    path("operations", OperationsPage.as_view(), name="operations"),
    path("sign-in", SignInPage.as_view(), name="sign-in"),
    path("sign-out", SignOut.as_view(), name="sign-out"),
]
