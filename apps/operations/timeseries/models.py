from django.db import models


class RetentionRun(models.Model):
    """The last time that a table's old rows were looked for. One row a table."""

    table = models.CharField(max_length=63, primary_key=True)
    began_at = models.DateTimeField()
    seconds = models.FloatField()
    deleted = models.BigIntegerField(help_text="Rows, or chunks of a hypertable")
    compressed = models.BigIntegerField(default=0, help_text="Chunks")
    is_done = models.BooleanField(help_text="No: the time was up, and the next run goes on")
    error = models.TextField(blank=True)

    class Meta:
        db_table = "operations_retention"
        ordering = ["table"]

    def __str__(self) -> str:
        return f"{self.table} at {self.began_at:%Y-%m-%d %H:%M}: {self.deleted}"
