"""Retention's own table; and hypertables, where the server has TimescaleDB loaded and the role may create it.

Elsewhere the tables stay plain. `manage.py timeseries --apply` converts them later.
"""

from typing import Any

from django.db import DatabaseError, migrations, models, transaction


def make_hypertables(apps: Any, schema_editor: Any) -> None:
    from apps.operations.timeseries.extension import create_extension
    from apps.operations.timeseries.hypertables import apply_all

    try:
        with transaction.atomic(schema_editor.connection.alias):
            apply_all(create_extension())
    except DatabaseError as error:
        print(f"note: the tables stay plain, `manage.py timeseries --apply` tries again: {str(error).strip()}")  # noqa: T201


class Migration(migrations.Migration):
    dependencies = [
        ("operations", "0001_statement_statistics"),
        ("analytics", "0002_reports"),
        ("realtime", "0001_websocket_metrics"),
        ("risk", "0004_strategy_events"),
    ]
    operations = [
        migrations.CreateModel(
            name="RetentionRun",
            fields=[
                ("table", models.CharField(max_length=63, primary_key=True, serialize=False)),
                ("began_at", models.DateTimeField()),
                ("seconds", models.FloatField()),
                ("deleted", models.BigIntegerField(help_text="Rows, or chunks of a hypertable")),
                ("compressed", models.BigIntegerField(default=0, help_text="Chunks")),
                ("is_done", models.BooleanField(help_text="No: the time was up, and the next run goes on")),
                ("error", models.TextField(blank=True)),
            ],
            options={"db_table": "operations_retention", "ordering": ["table"]},
        ),
        migrations.RunPython(make_hypertables, migrations.RunPython.noop),
    ]
