from django.apps import AppConfig


class RiskConfig(AppConfig):
    name = "apps.risk"
    verbose_name = "Risk"

    def ready(self) -> None:
        from apps.portfolios.access import check_trader_of
        from apps.portfolios.replays import register_replay
        from apps.realtime.access import register_topic
        from apps.realtime.broadcasts import take_word
        from apps.risk import all_portfolios, analysis, backtests, batches, comparison, stress
        from apps.risk.access import check_may_analyze_all, may_read_alerts
        from apps.tasks.kinds import register_kind, tells_of_books

        register_topic("risk:alerts:", may_read_alerts)
        take_word("trading")
        for job in (analysis, backtests, comparison, stress):
            register_kind(job.KIND, check_trader_of)
            register_replay(job.KIND, job.compute)
        register_kind(all_portfolios.KIND, check_may_analyze_all)
        tells_of_books(all_portfolios.KIND, all_portfolios.CHUNK_KIND)
        register_replay(batches.KIND, batches.compute)
