from typing import Any

from django.core.management.base import BaseCommand

from apps.analytics.real_time_engine import RealTimeAnalyticsEngine
from nautilus.stopping import on_stop_signals


class Command(BaseCommand):
    help = (
        "Runs one streaming engine until it gets SIGTERM or SIGINT: it reads the newest quotes from Redis every "
        "NAUTILUS_STREAM_INTERVAL_MS and publishes value, exposure, P&L of the day, drawdown and VaR of every book "
        "that they touch on analytics:updates:{id} and portfolio:updates:{id}. Start as many as you like, on any "
        "machine: they share the portfolios, and what one leaves behind the others take over. docs/streaming.md has "
        "the rest; GET /api/v1/sprint3/analytics/streaming/status says how they do."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        engine = RealTimeAnalyticsEngine()
        on_stop_signals(engine.stop)
        engine.start()
