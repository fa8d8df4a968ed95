"""The indexes that the models ask for, and those of them that the contract names (section 11)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from apps.operations.diagnosis.fixing import Fix
from apps.operations.timeseries import extension, hypertables
from nautilus.postgresql.limits import without_limits

CONTRACT = frozenset(
    {
        "idx_portfolio_risk_timestamp",
        "idx_risk_limits_active",
        "idx_portfolio_returns_date",
        "idx_analytics_portfolio_timestamp",
        "idx_risk_events_portfolio_type",
        "idx_websocket_metrics_timestamp",
    }
)


@dataclass(frozen=True, slots=True)
class ExpectedIndex:
    """`column` is the first one: an index that begins with it serves a field's own just as well (`named` False)."""

    name: str
    model: type[models.Model]
    index: models.Index
    column: str | None
    named: bool

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    def fix(self, broken: bool) -> Fix:
        what = "drop and create" if broken else "create"
        how = "chunk by chunk" if _is_hypertable(self.table) else "CONCURRENTLY"
        return Fix(f"{what} index {self.name} on {self.table} {how}", partial(create, self, broken))


def expected_indexes() -> Iterator[ExpectedIndex]:
    """Of each model that has a table. Unique constraints are no part of it: where one is gone, a person must look."""
    with connection.schema_editor(collect_sql=True) as editor:
        for model in apps.get_models():
            if model._meta.managed and not model._meta.proxy:
                yield from _of_model(model)
                yield from _of_fields(model, editor)


def _of_model(model: type[models.Model]) -> Iterator[ExpectedIndex]:
    for index in model._meta.indexes:
        yield ExpectedIndex(index.name, model, index, None, named=True)


def _of_fields(model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> Iterator[ExpectedIndex]:
    fields: list[Any] = list(model._meta.local_fields)
    for field in fields:
        if field.db_index and not field.unique:
            name = _generated_name(editor, model._meta.db_table, field.column)
            yield ExpectedIndex(name, model, models.Index(fields=[field.name]), field.column, named=False)


def _generated_name(editor: Any, table: str, column: str) -> str:
    """As Django names the index of a field, so that a migration finds it again."""
    return editor._create_index_name(table, [column])


def create(expected: ExpectedIndex, broken: bool) -> str:
    """Beside reads and writes. One that cannot be used is dropped first: PostgreSQL leaves it behind half made.

    Raises DatabaseError; a statement that failed half way leaves an index that the probe finds again.
    """
    chunked = _is_hypertable(expected.table)
    with without_limits(), connection.cursor() as cursor:
        if broken:
            cursor.execute(drop_statement(expected, chunked=chunked))
        cursor.execute(create_statement(expected, chunked=chunked))
    return f"created index {expected.name} on {expected.table}"


def _is_hypertable(table: str) -> bool:
    return bool(extension.look().version) and hypertables.is_hypertable(table)


def drop_statement(expected: ExpectedIndex, *, chunked: bool) -> str:
    """TimescaleDB refuses CONCURRENTLY on a hypertable (`chunked`); to drop takes its lock for a moment."""
    concurrently = "" if chunked else "CONCURRENTLY "
    return f"DROP INDEX {concurrently}IF EXISTS {connection.ops.quote_name(expected.name)}"


def create_statement(expected: ExpectedIndex, *, chunked: bool) -> str:
    """In place of CONCURRENTLY a hypertable takes a transaction for each chunk: writes wait for one chunk at most."""
    index = expected.index.clone()
    with connection.schema_editor(collect_sql=True) as editor:
        index.name = expected.name
        statement: Any = index.create_sql(expected.model, editor, concurrently=not chunked)
        if chunked:
            statement.parts["extra"] = f"{statement.parts['extra']} WITH (timescaledb.transaction_per_chunk)"
        return str(statement)
