"""The database's schema: versioned SQL files, each applied once, in order: `migrate`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ecommerce_lakehouse.observability.metrics_export.failures import ExportError

FOLDER = Path(__file__).parent / "migrations"
FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True)
class Migration:
    """One file `<version>_<name>.sql`. `checksum` is SHA-256 of its text."""

    version: int
    name: str
    text: str
    checksum: str


def migrate(connection: Connection, schema: str, folder: Path = FOLDER) -> list[Migration]:
    """Apply the migrations that `schema` lacks, all or none; returns them.

    Several processes may call this at once: the first applies, the others wait and find nothing to do. Raises
    ExportError if an applied file has changed since, or the schema has migrations that `folder` lacks.
    """
    wanted = migrations(folder)
    if _missing(connection, schema, wanted) == []:
        return []
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{schema}.schema_migrations",)
        )
        missing = _missing(connection, schema, wanted)
        if missing is None:
            # IF NOT EXISTS would need the right to create schemas even if this one exists.
            if not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone():
                connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
            connection.execute(
                SQL(
                    "CREATE TABLE {}.schema_migrations (version integer PRIMARY KEY, name text NOT NULL, "
                    "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
                ).format(Identifier(schema))
            )
            missing = wanted
        connection.execute(SQL("SET LOCAL search_path TO {}").format(Identifier(schema)))
        for migration in missing:
            connection.execute(migration.text.encode())
            connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
    return missing


@lru_cache(maxsize=8)
def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of a folder in order; ExportError for a wrong file name or number."""
    found = []
    for number, file in enumerate(sorted(folder.glob("*.sql")), 1):
        parts = FILE_NAME.fullmatch(file.name)
        if parts is None or int(parts[1]) != number:
            raise ExportError(f"migration {file.name} should be called {number:04d}_<name>.sql")
        text = file.read_text(encoding="utf-8")
        found.append(Migration(number, parts[2], text, hashlib.sha256(text.encode()).hexdigest()))
    return found


def _missing(connection: Connection, schema: str, wanted: list[Migration]) -> list[Migration] | None:
    """Migrations that are not applied; None if the schema has never been migrated."""
    with connection.transaction():
        # Not by to_regclass, whose cache misses what other processes did while this one waited.
        found = connection.execute(
            "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'schema_migrations'", (schema,)
        )
        if not found.fetchone():
            return None
        rows = connection.execute(
            SQL("SELECT version, name, checksum FROM {}.schema_migrations ORDER BY version").format(
                Identifier(schema)
            )
        ).fetchall()
    by_version = {migration.version: migration for migration in wanted}
    for version, applied, checksum in rows:
        if version not in by_version:
            raise ExportError(
                f"schema {schema} has migration {version:04d}_{applied}, which this version lacks: "
                "deploy the newest one"
            )
        if by_version[version].checksum != checksum:
            raise ExportError(
                f"migration {version:04d}_{applied} has changed since schema {schema} applied it: "
                "restore the file and add a new migration"
            )
    return [migration for migration in wanted if migration.version not in {row[0] for row in rows}]
