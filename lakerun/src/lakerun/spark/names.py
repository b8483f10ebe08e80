"""Names of tables in a task's code, in one, two or three parts: `TaskTables`, and `prepared` for SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lakerun.errors import LakerunError
from lakerun.plugins import DEFAULT_CATALOG
from lakerun.spark.named_tables import NamedTable, named_tables
from lakerun.tables.delta_table import Table
from lakerun.tables.samples import check_writable
from lakerun.tables.storage import Storage, TableName, is_folder_name, name_parts, quoted
from lakerun.tables.unions import FoundUnion, find_union, union_names

DEFAULT_SCHEMA = "default"
PART = r"(?:`[^`/]+`|[^\W\d]\w*+)"
_NAME = rf"{PART}(?:\.{PART}){{0,2}}"
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|--[^\n]*|/\*.*?\*/"""
_ALIAS = (
    rf"\s+(?:AS\s+)?(?!(?:ON|USING|FROM|WHERE|JOIN|INNER|LEFT|RIGHT|FULL|OUTER|CROSS|SEMI|ANTI|NATURAL|LATERAL|GROUP"
    rf"|ORDER|HAVING|LIMIT|UNION|INTERSECT|EXCEPT|MINUS|WINDOW|QUALIFY|SET|WHEN|VALUES|SELECT|WITH|TABLESAMPLE"
    rf"|PIVOT|UNPIVOT|VERSION|TIMESTAMP|FOR|CLUSTER|DISTRIBUTE|SORT|OFFSET|PARTITION|AS)\b){PART}"
)
# A name after a word that a table's name follows, its alias, and further names after commas.
_TABLE = re.compile(
    rf"""{_QUOTED}|(?P<before>(?<![\w.`])(?P<word>FROM|JOIN|INTO|UPDATE|USING|OVERWRITE|TABLE|OPTIMIZE|VACUUM"""
    rf"""|DESC(?:RIBE)?(?:\s+(?:DETAIL|HISTORY))?|REFRESH|COLUMNS\s+IN)\s+(?:TABLE\s+)?"""
    rf"""(?:(?:EXTENDED|FORMATTED)\s+)?"""
    rf"""(?P<exists>IF\s+(?:NOT\s+)?EXISTS\s+)?)(?P<name>{_NAME})(?![\w.`])(?P<alias>{_ALIAS})?"""
    rf"""(?P<more>(?:\s*,\s*(?!LATERAL\b){_NAME}(?![\w.`]|\s*\()(?:{_ALIAS})?)*)""",
    re.IGNORECASE | re.DOTALL,
)
_MORE = re.compile(rf"(?P<before>\s*,\s*)(?P<name>{_NAME})(?P<alias>{_ALIAS})?", re.IGNORECASE)
_COMPARED = re.compile(r"\bDISTINCT\s+$", re.IGNORECASE)  # before FROM it compares two values
_OTHER = re.compile(
    rf"{_QUOTED}|(?<![\w.`])(?P<name>{PART}\.{PART}\.{PART})(?![\w.`(])|`[^`]*`\.?(?!\w)", re.DOTALL
)
_DEFINED = re.compile(rf"({PART})\s*(?:\([^()]*\)\s*)?AS\s*\(", re.IGNORECASE)
_CREATE = re.compile(
    rf"\s*CREATE\s+(?P<replace>OR\s+REPLACE\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>{_NAME})",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    rf"\s*(?:INSERT\s+(?:INTO|OVERWRITE)(?:\s+TABLE)?|UPDATE|DELETE\s+FROM|MERGE\s+(?:WITH\s+SCHEMA\s+EVOLUTION\s+)?"
    rf"INTO|(?:ALTER|TRUNCATE|RESTORE)\s+TABLE|OPTIMIZE|VACUUM)\s+(?P<name>{_NAME})",
    re.IGNORECASE,
)
_TEMPORAL = re.compile(r"(?:FOR|VERSION|TIMESTAMP|TABLESAMPLE|PIVOT|UNPIVOT|@)", re.IGNORECASE)
_LISTED = ("FROM", "JOIN")
_ALIASED = ("FROM", "JOIN", "USING", "UPDATE")


@dataclass
class TaskTables:
    """The lakehouse's tables as a task names them; `catalog` and `schema` are its current ones."""

    storage: Storage
    catalog: str = DEFAULT_CATALOG
    schema: str = DEFAULT_SCHEMA

    def full(self, name: str) -> TableName:
        """The full name; LakerunError for what is not a table's name."""
        parts = name_parts(name)
        if len(parts) > 3 or not all(map(is_folder_name, parts)):
            raise LakerunError(f"'{name}' is not a valid table name.")
        return TableName(*([self.catalog, self.schema][: 3 - len(parts)] + parts))

    def target(self, name: str) -> TableName:
        """The full name of a table that is to change; LakerunError for one that can only be read."""
        found = self.full(name)
        check_writable(found.catalog)
        return found

    def schema_of(self, name: str | None) -> tuple[str, str]:
        """Catalog and schema of a schema's name, by default the current ones."""
        parts = name_parts(name) if name else [self.schema]
        if len(parts) > 2 or not all(map(is_folder_name, parts)):
            raise LakerunError(f"'{name}' is not a valid schema name.")
        catalog, schema = (self.catalog, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
        self.storage.provide_samples(catalog)
        return catalog, schema

    def stored(self, name: str) -> TableName | None:
        """The table of that name, if the lakehouse has it."""
        try:
            found = self.full(name)
        except LakerunError:
            return None
        return found if Table.named(self.storage, found).exists else None

    def union(self, name: str) -> FoundUnion | None:
        """A plugin's union of that full name."""
        return find_union(self.storage, name) if len(name_parts(name)) == 3 else None

    def path(self, name: TableName) -> str:
        return str(self.storage.table_path(name))

    def listed(self, catalog: str, schema: str) -> list[str]:
        """The names of a schema's tables and unions."""
        names = {*self.storage.tables(), *union_names(self.storage)}
        return sorted(name.table for name in names if (name.catalog, name.schema) == (catalog, schema))

    def catalogs(self) -> list[str]:
        return sorted({self.catalog, *_folders(self.storage, "*")})

    def schemas(self, catalog: str) -> list[str]:
        own = {self.schema} if catalog == self.catalog else set()
        unions = {name.schema for name in union_names(self.storage) if name.catalog == catalog}
        return sorted({*_folders(self.storage, f"{catalog}/*"), *own, *unions})


def prepared(statement: str, tables: TaskTables, is_view: Callable[[str], bool]) -> str:
    """The statement with paths instead of the lakehouse's names; the rest is unchanged.

    `named_tables` finds the names; in statements that only Spark's parser knows, such as OPTIMIZE and VACUUM,
    the words before them do. `is_view` says which short names are those of temporary views.
    """

    def relation(name: str) -> str | None:
        parts = name_parts(name)
        if len(parts) == 1 and tables.stored(name) and is_view(parts[0]):
            return None
        if found := tables.stored(name):
            return f"delta.{quoted(tables.path(found))}"
        union = tables.union(name)
        # In its own brackets, so that the statement can still give it another alias.
        own = union and f"(({union.sql_on_paths(tables.storage)}) AS {quoted(union.name.table)})"
        return own or None

    if changed := _CHANGED.match(statement):
        tables.target(changed["name"])
    created = _CREATE.match(statement)
    start = created.end() if created else 0
    named = named_tables(statement)
    rest = (
        _by_words(statement[start:], relation)
        if named is None
        else _by_places(statement, start, named, relation)
    )
    return _created(statement, created, tables, rest) if created else rest


def _by_places(
    statement: str, start: int, named: Sequence[NamedTable], relation: Callable[[str], str | None]
) -> str:
    """The statement from `start` on, with what `relation` gives for its names."""
    pieces = []
    for table in named:
        if (place := relation(table.name)) is None:
            continue
        alias = f" AS {quoted(name_parts(table.name)[-1])}" if table.needs_alias and place[0] != "(" else ""
        pieces += [statement[start : table.start], place, alias]
        start = table.end
    return "".join([*pieces, statement[start:]])


def _by_words(text: str, found_relation: Callable[[str], str | None]) -> str:
    """The text with what `found_relation` gives for the names after FROM, TABLE and the like."""
    defined = {name_parts(found[1])[0].lower() for found in _DEFINED.finditer(text)}

    def relation(name: str) -> str | None:
        return None if name_parts(name)[0].lower() in defined and "." not in name else found_relation(name)

    def place(found: re.Match[str]) -> str:
        if found["name"] is None or _COMPARED.search(found.string, 0, found.start()):
            return found[0]
        word, more, last = found["word"].upper(), found["more"], found.string[found.end() :]
        first = placed(found, more or last, word in _ALIASED)
        if word not in _LISTED:
            return first + more
        if found.string[found.end("name") :].lstrip().startswith("("):  # a table function
            return found[0]
        return first + _MORE.sub(lambda item: placed(item, item.string[item.end() :] or last, True), more)

    def placed(found: re.Match[str], after: str, aliased: bool) -> str:
        """The name's place, with its own name as alias unless the statement gives one."""
        alias = found["alias"] or ""
        if (place := relation(found["name"])) is None:
            return f"{found['before']}{found['name']}{alias}"
        if not alias and aliased and place[0] != "(" and not _TEMPORAL.match(after.lstrip()):
            alias = f" AS {quoted(name_parts(found['name'])[-1])}"
        return f"{found['before']}{place}{alias}"

    def other(found: re.Match[str]) -> str:
        return (relation(found["name"]) if found["name"] else None) or found[0]

    return _OTHER.sub(other, _TABLE.sub(place, text))


def _created(statement: str, created: re.Match[str], tables: TaskTables, rest: str) -> str:
    """CREATE TABLE on the table's path; `rest` follows its name."""
    if using := re.search(r"\bUSING\s+(\w+)", rest, re.IGNORECASE):
        if using[1].lower() != "delta":
            return statement[: created.end()] + rest  # a table of files, which is Spark's
    elif re.search(r"\bLOCATION\s+['\"]", rest, re.IGNORECASE):
        return statement[: created.end()] + rest
    elif body := re.match(r"\s*\((?:[^()]|\([^()]*\))*\)", rest):
        rest = f"{rest[: body.end()]} USING delta{rest[body.end() :]}"
    else:
        rest = f" USING delta{rest}"
    name = tables.target(created["name"])
    start = created.start("name")
    return f"{statement[:start]}delta.{quoted(tables.path(name))}{rest}"


def _folders(storage: Storage, pattern: str) -> set[str]:
    roots = (storage.tables_root, storage.volumes_root)
    return {folder.name for root in roots for folder in root.glob(pattern) if folder.is_dir()}
