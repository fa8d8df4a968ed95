"""What stands outside of `/api/v1/sprint3`; the rest is in sprint3_urls.py."""

from django.urls import path

from apps.operations.api.views import health

urlpatterns = [path("health", health)]
