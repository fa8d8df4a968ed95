"""pg_stat_statements, by which `manage.py doctor` names slow statements; the platform works without it as well."""

from typing import Any

from django.db import DatabaseError, migrations, transaction


def create_extension(apps: Any, schema_editor: Any) -> None:
    """Where it is installed and the role may; elsewhere an administrator makes it, or nobody does."""
    try:
        with transaction.atomic(schema_editor.connection.alias), schema_editor.connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    except DatabaseError as error:
        print(f"note: pg_stat_statements was not created: {str(error).strip()}")  # noqa: T201


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [migrations.RunPython(create_extension, migrations.RunPython.noop)]
