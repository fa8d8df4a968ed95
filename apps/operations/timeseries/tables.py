"""The tables that become hypertables, and how each is cut, compressed and kept."""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """`unsettled` is SQL: a chunk with such a row is not compressed, because a row that is locked must not be.

    `compresses_from` is the first version whose compression suits the table: before 2.16 an update by another column
    than `segment_by` writes every row of every compressed chunk back.
    """

    table: str
    chunk_days: int
    compress_after_days: int
    segment_by: str
    time: str = "timestamp"
    unsettled: str = ""
    compresses_from: tuple[int, int] = (2, 14)
    keep_setting: str = ""

    @property
    def keep_days(self) -> int:
        """0: for ever."""
        return getattr(settings, self.keep_setting) if self.keep_setting else 0


SERIES = (
    TimeSeries("websocket_metrics", 1, 7, "process", keep_setting="WEBSOCKET_METRICS_DAYS"),
    TimeSeries("analytics_metrics", 7, 7, "portfolio_id"),
    TimeSeries(
        "risk_events",
        7,
        3,
        "portfolio_id",
        unsettled="closed_at IS NULL OR published_at IS NULL",
        compresses_from=(2, 16),
    ),
)
BY_TABLE = {series.table: series for series in SERIES}

# What else grows, by its time: shown beside the others.
PLAIN = {
    "portfolio_data": "date",
    "portfolio_returns": "date",
    "risk_metrics": "timestamp",
    "risk_alert_deliveries": "created_at",
    "risk_decisions": "evaluated_at",
    "tasks_task": "created_at",
}
