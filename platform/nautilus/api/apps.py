from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "nautilus.api"
    label = "api"
    verbose_name = "API"

    def ready(self) -> None:
        from nautilus.api import schema  # noqa: F401 - registers itself with drf-spectacular
        from nautilus.traces import start_traces

        start_traces()
