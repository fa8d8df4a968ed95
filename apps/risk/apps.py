from django.apps import AppConfig


class RiskConfig(AppConfig):
    name = "apps.risk"
    verbose_name = "Risk"

    def ready(self) -> None:
        from apps.portfolios.access import check_trader_of
        from apps.risk.analysis import KIND
        from apps.tasks.kinds import register_kind

        register_kind(KIND, check_trader_of)
