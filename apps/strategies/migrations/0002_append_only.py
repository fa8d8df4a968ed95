"""A version that was posted stays what its hash says; only its number and its place on the main line may be mended."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).with_name("0002_append_only.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("strategies", "0001_initial")]
    operations = [
        migrations.RunSQL(
            SQL,
            "DROP TRIGGER strategy_version_is_append_only ON strategy_versions;DROP FUNCTION nautilus_keep_version;",
        )
    ]
