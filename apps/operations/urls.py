from django.urls import path

from apps.operations.api import health

urlpatterns = [path("health", health)]
