from django.apps import AppConfig


class PortfoliosConfig(AppConfig):
    name = "apps.portfolios"
    verbose_name = "Portfolios and market data"

    def ready(self) -> None:
        # Models are ready only now.
        from apps.portfolios import replays
        from apps.portfolios.access import check_may_import_prices, check_trader_of, may_read_portfolio
        from apps.realtime.access import register_topic
        from apps.tasks.kinds import register_kind

        for prefix in ("portfolio:updates:", "analytics:updates:"):
            register_topic(prefix, may_read_portfolio)
        register_kind("market_data.import", check_may_import_prices)
        register_kind(replays.KIND, check_trader_of)
