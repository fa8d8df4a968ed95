from apps.operations.timeseries.models import RetentionRun

__all__ = ["RetentionRun"]
