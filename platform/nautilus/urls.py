"""Every path that HTTP clients see: docs/contract.md."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

SPRINT3 = "api/v1/sprint3/"

urlpatterns = [
    path("", include("apps.operations.urls")),
    path("", include("apps.operations.metrics.urls")),
    path("api/v1/auth/", include("nautilus.api.urls")),
    path("api/v1/", include("apps.tasks.urls")),
    path("api/v1/", include("apps.portfolios.urls")),
    path("api/v1/", include("apps.analytics.cache_urls")),
    path(SPRINT3, include("apps.realtime.urls")),
    path(SPRINT3, include("apps.risk.urls")),
    path(SPRINT3, include("apps.analytics.urls")),
    path(SPRINT3, include("apps.strategies.urls")),
    path(SPRINT3, include("apps.operations.sprint3_urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
    path("", include("apps.dashboard.urls")),
]

handler400 = "nautilus.api.errors.bad_request"
handler404 = "nautilus.api.errors.page_not_found"
handler500 = "nautilus.api.errors.server_error"
