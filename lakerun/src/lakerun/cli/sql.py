"""`lakerun sql`: a query in Databricks SQL, without a JVM or, with --spark, in local Spark."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakerun.cli.project import EnvironmentOption, JsonOption

if TYPE_CHECKING:
    import pyarrow as pa

    from lakerun.tables.storage import Storage

NAME = "sql"
EXAMPLES = (
    'Examples:\n\n{program} sql "SELECT status, count(*) FROM orders GROUP BY status"\n\n'
    "{program} sql -f src/sql/monthly.sql --format csv\n\n"
    'echo "SHOW TABLES" | {program} sql -'
)
ROWS_ON_SCREEN = 100
Names = tuple[str | None, str | None]


class Format(StrEnum):
    """How the rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def command(
    statement: Annotated[
        str | None, typer.Argument(help="One statement that only reads; - reads it from stdin.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="File that holds the statement.")] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=0, help="At most this many rows: 100 in a table, else all."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How rows are printed.")] = Format.TABLE,
    spark: Annotated[
        bool, typer.Option("--spark", help="Run it in local Spark in any case, some seconds slower.")
    ] = False,
    env: EnvironmentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Query the tables in Databricks SQL: SELECT, WITH, SHOW TABLES, DESCRIBE. Times are in UTC.

    What is not known to mean the same without Spark is answered by Spark, which takes some seconds.
    """
    from lakerun.cli.output import print_rows
    from lakerun.cli.project import default_names
    from lakerun.tables.arrow_rows import rows_of
    from lakerun.tables.storage import Storage

    form = Format.JSON if as_json else form
    text = _statement(statement, file)
    if limit is None and form is Format.TABLE:
        limit = ROWS_ON_SCREEN
    asked = None if limit is None else limit + 1
    storage, names = Storage.default(), default_names(env)
    found = (_in_spark if spark else _query)(text, storage, names, asked)
    more = limit is not None and found.num_rows > limit
    print_rows(found.column_names, rows_of(found.slice(0, limit)), form.value, more)


def _query(text: str, storage: Storage, names: Names, limit: int | None) -> pa.Table:
    from lakerun.sql.errors import OnlyInSparkError
    from lakerun.sql.query import query

    try:
        return query(text, storage, catalog=names[0], schema=names[1], limit=limit)
    except OnlyInSparkError as error:
        typer.echo(f"{error.what}: only Spark knows this; asking it takes some seconds.", err=True)
        return _in_spark(text, storage, names, limit)


def _in_spark(text: str, storage: Storage, names: Names, limit: int | None) -> pa.Table:
    from lakerun.cli.quiet import output_to
    from lakerun.spark.session import get_session
    from lakerun.sql.in_spark import query_in_spark

    log = storage.log_path("sql")
    with output_to(log):
        return query_in_spark(text, storage, get_session(log), catalog=names[0], schema=names[1], limit=limit)


def _statement(statement: str | None, file: Path | None) -> str:
    if (statement is None) == (file is None):
        raise typer.BadParameter("Give one statement, as an argument, with -f FILE, or - for stdin.")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise typer.BadParameter(f"{file} cannot be read: {reason}.") from None
    return sys.stdin.read() if statement == "-" else statement or ""
