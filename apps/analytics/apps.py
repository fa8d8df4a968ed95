from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "apps.analytics"
    verbose_name = "Analytics"

    def ready(self) -> None:
        from apps.analytics.performance import KIND, compute
        from apps.analytics.reports import keep
        from apps.portfolios.access import check_trader_of
        from apps.portfolios.replays import register_replay
        from apps.tasks.kinds import register_kind

        register_kind(KIND, check_trader_of)
        register_kind(keep.KIND, keep.check_reader_of)
        register_replay(KIND, compute)
