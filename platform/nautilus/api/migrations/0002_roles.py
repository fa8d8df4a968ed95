"""The roles of contract section 2, as groups that an admin gives to users."""

from django.db import migrations

ROLES = ("viewer", "trader", "risk_manager", "strategist", "operator", "admin")


def make_roles(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    for name in ROLES:
        Group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("api", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
