"""How the sockets did, minute by minute."""

from django.db import models
from django.db.models import F

from nautilus.database import LongNamedIndex


class WebsocketMetric(models.Model):
    """One process in one minute. Counters count from the start of its hub on, as `GET …/websocket/stats` gives them."""

    timestamp = models.DateTimeField(help_text="The beginning of the minute")
    process = models.CharField(max_length=300, help_text="host:pid")
    hub = models.CharField(max_length=64, help_text="A word of the process's own: two with one host:pid differ in it")
    active = models.IntegerField(help_text="Sockets that are open")
    accepted = models.BigIntegerField()
    rejected = models.BigIntegerField()
    messages_sent = models.BigIntegerField()
    bytes_sent = models.BigIntegerField()
    dropped = models.BigIntegerField()
    slow_consumers = models.BigIntegerField(help_text="Sockets closed with 4008")
    queue_depth = models.BigIntegerField(help_text="Messages that wait to be written")
    messages_per_second = models.FloatField(help_text="Over ten seconds")
    latency_p50_ms = models.FloatField(null=True)
    latency_p95_ms = models.FloatField(null=True)
    latency_p99_ms = models.FloatField(null=True)
    topics = models.IntegerField(help_text="Topics and patterns that somebody follows")

    class Meta:
        db_table = "websocket_metrics"
        verbose_name = "minute of a process"
        verbose_name_plural = "sockets by the minute"
        ordering = ["-timestamp", "process"]
        indexes = [LongNamedIndex(F("timestamp").desc(), name="idx_websocket_metrics_timestamp")]
        constraints = [models.UniqueConstraint(fields=["hub", "timestamp"], name="websocket_one_row_a_minute")]

    def __str__(self) -> str:
        return f"{self.process} {self.timestamp:%Y-%m-%d %H:%M}"
