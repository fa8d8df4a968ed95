"""What this database offers: TimescaleDB, which version, under which licence."""

import re
from dataclasses import dataclass

from django.db import connection

from apps.operations.timeseries.tables import TimeSeries

_LOOK = """
SELECT installed_version,
       default_version IS NOT NULL AND current_setting('shared_preload_libraries') LIKE '%timescaledb%',
       current_setting('timescaledb.license', true)
FROM pg_available_extensions WHERE name = 'timescaledb'
"""


@dataclass(frozen=True, slots=True)
class Extension:
    """`version` is empty where the extension is not created; `can_be_created` says that the server has it loaded."""

    version: str = ""
    can_be_created: bool = False
    license: str = ""

    @property
    def has_policies(self) -> bool:
        """The Apache edition, as Debian and some clouds have it, has neither compression nor policies."""
        return bool(self.version) and self.license == "timescale"

    def compresses(self, series: TimeSeries) -> bool:
        numbers = tuple(int(number) for number in re.findall(r"\d+", self.version)[:2])
        return self.has_policies and numbers >= series.compresses_from


def look() -> Extension:
    with connection.cursor() as cursor:
        cursor.execute(_LOOK)
        row = cursor.fetchone()
    if row is None:
        return Extension()
    version, is_loaded, license_name = row
    return Extension(version or "", bool(is_loaded), license_name or "")


def create_extension() -> Extension:
    """Where the server has it loaded: to create it elsewhere ends the session."""
    found = look()
    if found.version or not found.can_be_created:
        return found
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    return look()
