from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "apps.operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        from apps.operations import checks  # noqa: F401 - they register themselves
        from apps.operations.api import schema  # noqa: F401 - as does this
