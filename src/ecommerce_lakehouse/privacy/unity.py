"""The lakehouse on Databricks, as an erasure sees it: SQL over Unity Catalog, and the files of the volume.

No statement names anybody, as the query history and the tables' logs keep statements: ids are in a temporary
view. Rows go by MERGE. A streaming table takes that, and its readers pass over it (`skipChangeCommits`); an
append-only one does with its property off. A materialized view belongs to its pipeline, whose next update
computes it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecommerce_lakehouse.activation.connection import LOCK
from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.erased import FOLDER
from ecommerce_lakehouse.config.files import write_whole
from ecommerce_lakehouse.domain.personal import (
    CONTACT_COLUMNS,
    LINE_COLUMNS,
    LOWERED,
    PERSON_COLUMNS,
    RECORD_KEYS,
)
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, StoredTable
from ecommerce_lakehouse.privacy.people import BLANK, Found, People, clean, read_line
from ecommerce_lakehouse.privacy.place import LogEntry, Removed, Searched, Tell
from ecommerce_lakehouse.privacy.raw_files import erase_from_volume, raw_files, raw_lines
from ecommerce_lakehouse.privacy.scan import Finding, Scan, ScannedFile, scan

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

LOG_TABLE = "privacy_log"
CHANGED = ("MANAGED", "EXTERNAL", "STREAMING_TABLE")
COMPUTED = ("MATERIALIZED_VIEW",)
APPEND_ONLY = "delta.appendOnly"


class UnityPlace:
    """Tables of one schema of Unity Catalog, and its volume."""

    def __init__(self, config: LakehouseConfig, lakehouse: Lakehouse, spark: SparkSession) -> None:
        self._config, self._lakehouse, self._spark = config, lakehouse, spark
        self._volume = Path(config.volume_path)
        self._journal = self._volume / FOLDER / "unfinished.json"

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """The job runs once at a time; a stream that runs meanwhile drops what arrives of the erased."""
        with self._lakehouse.exclusive(LOCK):  # a run that is sending would bring them back
            yield

    def unfinished(self) -> People | None:
        if not self._journal.exists():
            return None
        kept = json.loads(self._journal.read_text(encoding="utf-8"))
        return People(*(frozenset(kept[name]) for name in ("ids", "contacts", "keys", "shared")))

    def begin(self, people: People) -> None:
        names = ("ids", "contacts", "keys", "shared")
        write_whole(self._journal, json.dumps({name: sorted(getattr(people, name)) for name in names}))

    def finish(self) -> None:
        self._journal.unlink(missing_ok=True)

    # Looking --------------------------------------------------------------------------------------------

    def search(self, ids: frozenset[str], tell: Tell) -> Searched:
        found = Found(ids)
        tell("looking for what belongs to them")
        wanted = People(ids)
        for table in self._tables():
            rows, names = self._rows(table), self._columns(table)
            typed = sorted(names & (PERSON_COLUMNS | CONTACT_COLUMNS | RECORD_KEYS))
            for row in (
                rows.where(_among(rows, names & PERSON_COLUMNS, ids)).select(typed).distinct().collect()
            ):
                found.add({name: _given(name, row[name]) for name in typed})
            for line in self._candidates(table, wanted):
                found.add(read_line(line)[0])
        for file, _ in raw_files(self._volume):
            for data in raw_lines(file):
                found.add(read_line(data.decode("utf-8", "replace"))[0])
        self._share(found)
        return Searched(found.people(), frozenset(found.seen))

    def _share(self, found: Found) -> None:
        """Take from what is theirs what others give too."""
        for table in self._tables():
            rows, names = self._rows(table), self._columns(table)
            for kind, columns in (("contacts", CONTACT_COLUMNS), ("keys", RECORD_KEYS)):
                people = sorted(names & PERSON_COLUMNS)
                for column in sorted(names & columns) if people and found.theirs[kind] else []:
                    both = rows.where(_among(rows, {column}, frozenset(found.theirs[kind])))
                    for row in both.select(column, *people).distinct().collect():
                        given = {name: _given(name, row[name]) for name in (column, *people)}
                        found.share(given)

    def _candidates(self, table: StoredTable, people: People) -> Iterator[str]:
        """The raw lines of a table that may be theirs."""
        from pyspark.sql import functions as F  # noqa: N812

        rows, names = self._rows(table), self._columns(table)
        texts = [*people.ids, *people.contacts, *people.keys]
        for name in sorted(names & LINE_COLUMNS):
            text = F.make_valid_utf8(F.col(name).cast("string"))
            lower = F.lower(text)
            given = self._spark.createDataFrame([(each,) for each in {*texts, "\\u"}], "text string")
            matches = rows.select(text.alias("line"), lower.alias("lower")).join(
                F.broadcast(given), F.expr("contains(line, text) OR contains(lower, lower(text))"), "leftsemi"
            )
            for row in matches.select("line").distinct().collect():
                yield row["line"]

    # Removing -------------------------------------------------------------------------------------------

    def remove(self, people: People, tell: Tell, *, dry_run: bool) -> list[Removed]:
        removed = list(erase_from_volume(self._volume, people, dry_run=dry_run))
        for table in self._tables():
            count = self._merge(table, people, dry_run)
            if count:
                kind = "to compute again" if table.kind in COMPUTED else "table"
                tell(f"{table.name}: {count:,} rows")
                removed.append(Removed(table.name, kind, count))
        return removed

    def _merge(self, table: StoredTable, people: People, dry_run: bool) -> int:
        """Delete the people's rows from a table; returns how many there are."""
        conditions = self._conditions(table, people)
        if not conditions:
            return 0
        condition = " OR ".join(f"({each})" for each in conditions)
        counted = self._lakehouse.rows(
            f"SELECT count(*) AS n FROM {table.reference} AS t WHERE EXISTS "
            f"(SELECT 1 FROM erased_now AS e WHERE {condition})"
        )
        count = int(counted[0]["n"])
        if count and not dry_run and table.kind in CHANGED:
            append_only = self._is_append_only(table)
            hours = self._config.vacuum_retention_hours
            for statement in statements(table.reference, condition, hours, append_only=append_only):
                self._lakehouse.rows(statement)
        if not dry_run and table.name.startswith("bronze_") and not self._is_append_only(table):
            self._lakehouse.rows(appending(table.reference, only=True))  # a kill has left it off
        return count

    def _conditions(self, table: StoredTable, people: People) -> list[str]:
        """Conditions of the MERGE between a row `t` and one of `erased_now`, `e`, which this call fills."""
        names = self._columns(table)
        lines = [line for line in self._candidates(table, people) if people.own_line(line)]
        values = [
            *(("person", each) for each in people.ids),
            *(("contact", each) for each in people.contacts),
            *(("key", each) for each in people.keys),
            *(("line", each) for each in lines),
        ]
        given = self._spark.createDataFrame(values, "kind string, value string")
        given.createOrReplaceTempView("erased_now")
        blank = "' \\t\\r\\n'"
        found = [
            f"e.kind = 'person' AND trim(BOTH {blank} FROM t.`{name}`) = e.value"
            for name in sorted(names & PERSON_COLUMNS)
        ]
        nobody = [
            f"coalesce(trim(BOTH {blank} FROM t.`{n}`), '') = ''" for n in sorted(names & PERSON_COLUMNS)
        ]
        for kind, columns in (("contact", CONTACT_COLUMNS), ("key", RECORD_KEYS)):
            for name in sorted(names & columns):
                value = f"trim(BOTH {blank} FROM t.`{name}`)"
                value = f"lower({value})" if name in LOWERED else value
                found.append(" AND ".join([f"e.kind = '{kind}'", f"{value} = e.value", *nobody]))
        found += [
            f"e.kind = 'line' AND make_valid_utf8(CAST(t.`{name}` AS STRING)) = e.value"
            for name in sorted(names & LINE_COLUMNS)
        ]
        return found

    def _is_append_only(self, table: StoredTable) -> bool:
        (detail,) = self._lakehouse.rows(f"DESCRIBE DETAIL {table.reference}")
        return str((detail["properties"] or {}).get(APPEND_ONLY, "")).lower() == "true"

    # Proving --------------------------------------------------------------------------------------------

    def scan(self, people: People, tell: Tell) -> Scan:
        """The volume's files, decoded, and the texts of every table, whose files cannot be reached."""
        found = scan(self._volume, people.needles, skip=[self._journal])
        files, findings = list(found.files), list(found.findings)
        for table in self._tables(every=True):
            rows = self._rows(table)
            columns = [name for name, kind in rows.dtypes if "string" in kind or "binary" in kind]
            count = rows.count()
            for column in columns:
                texts = rows.select(_text(rows, column).alias("x")).where("x IS NOT NULL")
                kinds = sorted(
                    {kind for row in texts.toLocalIterator() for kind in _kinds(people, row["x"], column)}
                )
                if kinds:
                    findings.append(Finding(path=f"table {table.name}", where=column, kinds=tuple(kinds)))
            files.append(ScannedFile(path=f"table {table.name}", size=count, sha256="", how="sql, rows"))
            tell(f"{table.name} scanned")
        return Scan(files=tuple(files), findings=tuple(findings))

    def record(self, entries: list[LogEntry]) -> None:
        import pyarrow as pa

        self._lakehouse.append(pa.Table.from_pylist([entry.model_dump() for entry in entries]), LOG_TABLE)

    # Tables ---------------------------------------------------------------------------------------------

    def _tables(self, *, every: bool = False) -> list[StoredTable]:
        """Tables with a personal column; with `every`, all tables."""
        kinds = (*CHANGED, *COMPUTED)
        found = [
            table for table in self._lakehouse.tables() if table.kind in kinds and table.name != LOG_TABLE
        ]
        personal = PERSON_COLUMNS | CONTACT_COLUMNS | LINE_COLUMNS | RECORD_KEYS
        return found if every else [table for table in found if self._columns(table) & personal]

    def _rows(self, table: StoredTable) -> DataFrame:
        return self._spark.sql(f"SELECT * FROM {table.reference}")

    def _columns(self, table: StoredTable) -> set[str]:
        return set(self._rows(table).columns)


def appending(reference: str, *, only: bool) -> str:
    """The statement that lets a table only be appended to, or also be changed."""
    return f"ALTER TABLE {reference} SET TBLPROPERTIES ('{APPEND_ONLY}' = '{str(only).lower()}')"


def statements(reference: str, condition: str, retention_hours: int, *, append_only: bool) -> list[str]:
    """What deletes rows of a table for good, in order.

    MERGE may leave deletion vectors, so REORG writes the files without the rows, and VACUUM deletes the old
    files once they are as old as the retention, which Databricks does not let go below seven days without a
    setting.
    """
    merge = f"MERGE INTO {reference} AS t USING erased_now AS e ON {condition} WHEN MATCHED THEN DELETE"
    changes = [appending(reference, only=False), merge, appending(reference, only=True)]
    return [
        *(changes if append_only else [merge]),
        f"REORG TABLE {reference} APPLY (PURGE)",
        f"VACUUM {reference} RETAIN {retention_hours} HOURS",
    ]


def _among(rows: DataFrame, names: set[str] | frozenset[str], values: frozenset[str]) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    condition = F.lit(False)
    for name in sorted(names):
        text = F.trim(rows[name].cast("string"), F.lit(BLANK))
        text = F.lower(text) if name in LOWERED else text
        condition = condition | F.coalesce(text.isin(*sorted(values)), F.lit(False))
    return condition


def _text(rows: DataFrame, column: str) -> Column:
    """A column of texts, or of structures that hold some, as text."""
    from pyspark.sql import functions as F  # noqa: N812

    kind = dict(rows.dtypes)[column]
    if kind in ("string", "binary"):
        return F.make_valid_utf8(rows[column].cast("string"))
    return F.to_json(F.struct(rows[column]))


def _kinds(people: People, text: str, column: str) -> Sequence[str]:
    return people.needles.kinds_of(people.needles.among([text], column))


def _given(name: str, value: Any) -> list[str]:
    cleaned = clean(name, str(value)) if value is not None else ""
    return [cleaned] if cleaned else []
