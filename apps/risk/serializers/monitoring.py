"""How the monitor, and the limits that it watches, are doing."""

from rest_framework import serializers


class MonitoringStatusSerializer(serializers.Serializer):
    """Of a Freshness. `running`: enabled, and the last run is as recent as it should be."""

    enabled = serializers.BooleanField(source="monitor.enabled")
    running = serializers.BooleanField()
    stale_reason = serializers.CharField(allow_null=True, help_text="Why a limit may not be as it is shown")
    interval_seconds = serializers.IntegerField()
    last_run_at = serializers.DateTimeField(
        source="monitor.last_run_at", allow_null=True, help_text="When the last whole run began"
    )
    last_run_seconds = serializers.FloatField(source="monitor.last_run_seconds", allow_null=True)
    next_run_at = serializers.DateTimeField(allow_null=True)
    lag_seconds = serializers.FloatField(allow_null=True, help_text="Since the last whole run began")
    portfolios_monitored = serializers.IntegerField(source="monitor.portfolios_monitored")
    limits_monitored = serializers.IntegerField(source="monitor.limits_monitored")
    holder = serializers.CharField(source="monitor.holder", help_text="Host and process of the last run")
    last_error = serializers.CharField(allow_null=True)
    last_error_at = serializers.DateTimeField(source="monitor.last_error_at", allow_null=True)


class LimitMonitoringSerializer(serializers.Serializer):
    """Of a `freshness` and `counts` by status: limits in force of the portfolios that the caller may see."""

    enabled = serializers.BooleanField(source="freshness.monitor.enabled")
    running = serializers.BooleanField(source="freshness.running")
    stale_reason = serializers.CharField(source="freshness.stale_reason", allow_null=True)
    limits_monitored = serializers.IntegerField(source="counts.total")
    warnings_open = serializers.IntegerField(source="counts.warning")
    breaches_open = serializers.IntegerField(source="counts.breach")
    unknown_open = serializers.IntegerField(source="counts.unknown")
    last_run_at = serializers.DateTimeField(source="freshness.monitor.last_run_at", allow_null=True)
    lag_seconds = serializers.FloatField(source="freshness.lag_seconds", allow_null=True)
