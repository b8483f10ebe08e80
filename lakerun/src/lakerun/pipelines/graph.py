"""Resolves definitions to a graph: the inputs and the schema of each dataset, and the order to run them in.

Every query function is called once on empty tables with the right schemas, so that a wrong name, column or
type is found before anything runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.errors import GraphError, LakerunError, UnknownNameError, first_line
from lakerun.pipelines import expectations as ex
from lakerun.pipelines.change_flows import change_target_schema, check_change_flows, sequence_column
from lakerun.pipelines.changed_files import StreamedFolder
from lakerun.pipelines.declared_schema import declared_schema
from lakerun.pipelines.definitions import DatasetDefinition, Definitions, FlowDefinition
from lakerun.pipelines.fingerprint import Fingerprint, fingerprint, named
from lakerun.spark.causes import readable
from lakerun.spark.empty_rows import empty_rows
from lakerun.spark.reads import reading_directly, reading_through
from lakerun.spark.volumes import streamed_path
from lakerun.tables.delta_files import has_options
from lakerun.tables.samples import check_writable
from lakerun.tables.storage import Storage, TableName, name_parts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructType

    from lakerun.spark.query_session import QuerySession


RESET_ALLOWED = "pipelines.reset.allowed"


@dataclass(frozen=True)
class Flow:
    """A flow whose inputs are known. With `reads_files`, it also streams something other than tables.

    `folders` are those whose files it streams. `settings` are Spark's for this flow only: its own, its
    table's, and those of the views that it reads.
    """

    definition: FlowDefinition
    reads: frozenset[TableName]
    streams: frozenset[TableName]
    reads_files: bool
    folders: tuple[StreamedFolder, ...]
    settings: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.definition.name


@dataclass(frozen=True)
class Dataset:
    """A table of the graph: its declaration, flows, output schema, and the tables that it reads.

    `fingerprint` is only for materialized views.
    """

    name: TableName
    definition: DatasetDefinition
    flows: tuple[Flow, ...]
    schema: StructType
    upstream: frozenset[TableName]
    fingerprint: Fingerprint

    @property
    def is_materialized_view(self) -> bool:
        return self.definition.kind == "MATERIALIZED_VIEW"


class Graph:
    """The tables of a pipeline in an order in which they can run, and its views."""

    def __init__(self, datasets: dict[TableName, Dataset], names: Names) -> None:
        self.datasets = datasets
        self.names = names

    def select(self, names: tuple[str, ...]) -> set[TableName]:
        """The tables that a user names, in full or by their last part; UnknownNameError otherwise."""
        chosen = set()
        for name in names:
            parts = tuple(name.split("."))
            found = [t for t in self.datasets if (t.catalog, t.schema, t.table)[-len(parts) :] == parts]
            if len(found) != 1:
                raise UnknownNameError("dataset", name, [t.table for t in self.datasets])
            chosen.add(found[0])
        return chosen

    @property
    def protected(self) -> set[TableName]:
        """The streaming tables whose rows a full refresh must keep."""
        return {
            name
            for name, dataset in self.datasets.items()
            if not dataset.is_materialized_view
            and dataset.definition.table_properties.get(RESET_ALLOWED, "").lower() == "false"
        }

    def streaming_consumers(self, tables: set[TableName]) -> set[TableName]:
        """`tables` and every streaming table that streams from one of them, down to a protected one."""
        found = set(tables)
        grown = True
        while grown:
            emptied = found - self.protected
            more = {
                name
                for name, dataset in self.datasets.items()
                if name not in found and any(flow.streams & emptied for flow in dataset.flows)
            }
            found |= more
            grown = bool(more)
        return found


class Names:
    """Resolves the names in a pipeline: a view's own name, a table's name in one, two or three parts."""

    def __init__(self, definitions: Definitions, catalog: str, schema: str) -> None:
        self.catalog, self.schema = catalog, schema
        self.views = {d.name: d for d in definitions.datasets.values() if d.kind == "VIEW"}
        self.tables = {self.table(d.name): d for d in definitions.datasets.values() if d.kind != "VIEW"}
        for table in self.tables:
            check_writable(table.catalog)
        self.flows: dict[str, list[FlowDefinition]] = {name: [] for name in self.views}
        self.table_flows: dict[TableName, list[FlowDefinition]] = {name: [] for name in self.tables}
        for flow in definitions.flows.values():
            if flow.target in self.views:
                self.flows[flow.target].append(flow)
            elif self.table(flow.target) in self.tables:
                self.table_flows[self.table(flow.target)].append(flow)
            else:
                valid = [d.name for d in definitions.datasets.values()]
                raise GraphError(
                    f"flow '{flow.name}' writes to an unknown dataset. "
                    f"{UnknownNameError('dataset', flow.target, valid)}",
                    location=flow.location,
                )
        self.views_have_settings = any(flow.spark_conf for flows in self.flows.values() for flow in flows)

    def table(self, name: str) -> TableName:
        """The full name of a table."""
        parts = name_parts(name)
        if len(parts) > 3 or not all(parts):
            raise GraphError(f"'{name}' is not a valid table name.")
        if parts[0] == "spark_catalog" and len(parts) == 3:
            parts = parts[1:]
        return TableName(*([self.catalog, self.schema][: 3 - len(parts)] + parts))


# Called for each problem, with its definition, instead of raising an exception.
Report = Callable[[DatasetDefinition, ex.Expectation | None, Exception], None]


class _UpstreamError(LakerunError):
    """A dataset reads another one that cannot be resolved, which has been reported."""


Leaf = Callable[[TableName, Any, bool], "DataFrame"]
Apply = Callable[["DataFrame", str, tuple[ex.Expectation, ...]], "DataFrame"]


class QueryReader:
    """Builds the DataFrame of one flow and notes what it reads.

    `leaf` gives a table's DataFrame; `apply` applies a dataset's expectations to its rows; `nothing` is an
    empty folder to stream instead of one that does not exist yet. `settings` are known after `build`.
    """

    def __init__(
        self, names: Names, session: QuerySession, leaf: Leaf, apply: Apply, nothing: Path | None = None
    ) -> None:
        self._nothing = nothing
        self.settings: dict[str, str] = {}
        self._own: Mapping[str, str] = {}
        self.reads: set[TableName] = set()
        self.streams: set[TableName] = set()
        self.reads_files = False
        self.folders: dict[str, StreamedFolder] = {}
        self.with_options = False
        self._names, self._session, self._leaf, self._apply = names, session, leaf, apply
        self._views_in_progress: list[str] = []

    def build(self, flow: FlowDefinition, dataset: DatasetDefinition, target: str) -> DataFrame:
        """The rows of the flow, with its dataset's expectations applied."""

        def query() -> DataFrame:
            return self._session.readStream.table(flow.cdc.source) if flow.cdc else _call(flow)

        rows = self._with_settings({**dataset.spark_conf, **flow.spark_conf}, query)
        expectations = dataset.expectations + (ex.of_function(flow.query) if flow.query else ())
        return self._apply(rows, target, ex.checked(expectations, target))

    def build_view(self, name: str) -> DataFrame:
        """The rows of a temporary view, with its expectations applied."""
        return self._with_settings({}, lambda: self._view(name))

    def table(self, name: str, reader: Any, *, streaming: bool) -> DataFrame:
        """Answer a read in the flow's query."""
        if name in self._names.views:
            rows = self._view(name)
            if rows.isStreaming != streaming:
                kind = "a stream" if rows.isStreaming else "not a stream"
                raise GraphError(
                    f"View '{name}' is {kind}: read it with spark.{_verb(rows.isStreaming)}.table."
                )
            return rows
        table = self._names.table(name)
        self.reads.add(table)
        self.with_options |= has_options(reader)
        if streaming:
            self.streams.add(table)
        with reading_directly():
            return self._leaf(table, reader, streaming)

    def files(self, path: str, option: Callable[[str], str]) -> str:
        """Note that the query streams files; returns the folder to stream."""
        self.reads_files = True
        overwrites = "true" in (option("cloudfiles.allowoverwrites"), option("allowoverwrites"))
        self.folders[path] = StreamedFolder(Path(streamed_path(path)), overwrites)
        return str(self._nothing) if self._nothing and not Path(path).is_dir() else path

    def other_source(self) -> None:
        """Note that the query streams neither a table nor a folder."""
        self.reads_files = True

    def _with_settings(self, own: Mapping[str, str], query: Callable[[], DataFrame]) -> DataFrame:
        """The query's rows with its settings, which include those of the views that it reads."""
        self._own, self.settings = own, dict(own)
        if self._names.views_have_settings:  # building the query shows which views it reads
            apply, self._apply = self._apply, lambda rows, name, declared: rows
            with reading_through(self):
                query()
            self._apply = apply
        with self._session.with_settings(self.settings), reading_through(self):
            return query()

    def _take_settings(self, view: FlowDefinition) -> None:
        for key, value in view.spark_conf.items():
            if key not in self._own and self.settings.setdefault(key, value) != value:
                raise GraphError(
                    f"views with different values of {key} are read together: {self.settings[key]} and "
                    f"{value}. Give the dataset that reads them its own.",
                    location=view.location,
                )

    def _view(self, name: str) -> DataFrame:
        if name in self._views_in_progress:
            raise GraphError(f"Views read each other: {' -> '.join([*self._views_in_progress, name])}.")
        (flow,) = self._names.flows[name]
        self._take_settings(flow)
        self._views_in_progress.append(name)
        try:
            rows = _call(flow)
        finally:
            self._views_in_progress.pop()
        return self._apply(rows, name, ex.checked(ex.of_function(flow.query or (lambda: None)), name))


def resolve(
    definitions: Definitions,
    session: QuerySession,
    storage: Storage,
    catalog: str,
    schema: str,
    *,
    settings: Mapping[str, str] | None = None,
    elsewhere: Mapping[TableName, StructType] | None = None,
    report: Report | None = None,
) -> Graph:
    """The pipeline's graph. Raises GraphError with file and line for definitions that cannot run.

    `settings` are the pipeline's configuration. `elsewhere` has the schemas of tables that other pipelines
    will create. `report`, if given, is called for every problem of a dataset or an expectation; the graph
    then has the datasets without problems.
    """
    names = Names(definitions, catalog, schema)
    if not names.tables:
        raise GraphError("The pipeline declares no table.")
    done: dict[TableName, Dataset] = {}
    in_progress: list[TableName] = []
    empty = storage.home / "scratch" / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    nothing = empty if report else None  # validation needs no data
    failed: set[TableName] = set()

    def visit(table: TableName) -> Dataset:
        if table in done:
            return done[table]
        if table in failed:
            raise _UpstreamError(f"'{table}' cannot be resolved.")
        if table in in_progress:
            cycle = [*in_progress[in_progress.index(table) :], table]
            raise GraphError(f"Datasets read each other: {' -> '.join(item.table for item in cycle)}.")
        in_progress.append(table)
        try:
            done[table] = _resolve_dataset(
                table, names, session, leaf, nothing, report, storage, settings or {}
            )
        except LakerunError as error:
            failed.add(table)
            if report is None:
                raise
            if not isinstance(error, _UpstreamError):
                report(names.tables[table], None, error)
            raise _UpstreamError(f"'{table}' cannot be resolved.") from error
        finally:
            in_progress.pop()
        return done[table]

    def leaf(table: TableName, reader: Any, streaming: bool) -> DataFrame:
        if table in names.tables:
            rows = empty_rows(session, visit(table).schema, empty, streaming)
        elif elsewhere is not None and table in elsewhere:
            rows = empty_rows(session, elsewhere[table], empty, streaming)
        else:
            rows = read_delta(storage, table, reader, [str(name) for name in names.tables] + [*names.views])
        return rows if streaming else named(rows, table)

    for table in names.tables:
        with _reported_already(report):
            visit(table)
    for view, definition in names.views.items():  # check views that nothing reads, too
        with _reported_already(report):
            try:
                checker = _checker(definition, report)
                QueryReader(names, session, leaf, checker, nothing).build_view(view)
            except _UpstreamError:
                raise
            except Exception as error:
                if report is None:
                    raise
                report(definition, None, error)
    return Graph(done, names)


def read_delta(
    storage: Storage, table: TableName, reader: Any, known: list[str], *, as_files: bool = False
) -> DataFrame:
    """A table of the data folder; UnknownNameError if there is none."""
    path = storage.table_path(table)
    if not (path / "_delta_log").is_dir():
        raise UnknownNameError("table", str(table), [*known, *map(str, storage.tables())])
    if as_files:
        from lakerun.tables.delta_files import read_table

        return read_table(reader, path)
    rows: DataFrame = reader.format("delta").load(str(path))
    return rows


def _resolve_dataset(
    table: TableName,
    names: Names,
    session: QuerySession,
    leaf: Leaf,
    nothing: Path | None,
    report: Report | None,
    storage: Storage,
    settings: Mapping[str, str],
) -> Dataset:
    definition = names.tables[table]
    flows: list[Flow] = []
    schema: StructType | None = None
    known = Fingerprint(None)
    expectations: list[tuple[str, str, str, str]] = []
    sequences: dict[str, DataType] = {}

    def apply(rows: DataFrame, dataset: str, declared: tuple[ex.Expectation, ...]) -> DataFrame:
        expectations.extend((dataset, e.name, e.constraint, e.action) for e in declared)
        return _checker(definition, report)(rows, dataset, declared)

    if not names.table_flows[table]:
        raise GraphError(f"no flow writes to streaming table '{table}'.", location=definition.location)
    check_change_flows(table, names.table_flows[table])
    for flow in names.table_flows[table]:
        reader = QueryReader(names, session, leaf, apply, nothing)
        try:
            rows = reader.build(flow, definition, str(table))
        except LakerunError:
            raise
        except Exception as error:
            raise GraphError(
                f"dataset '{table}': {first_line(readable(error), at_most=500)}", location=flow.location
            ) from error
        if not rows.isStreaming and flow.name == definition.name and len(names.table_flows[table]) == 1:
            definition = replace(definition, kind="MATERIALIZED_VIEW")  # what @dp.table is over a batch query
        if rows.isStreaming == (definition.kind == "MATERIALIZED_VIEW"):
            raise GraphError(
                f"'{table}' is a materialized view over a stream; use @dp.table."
                if rows.isStreaming
                else f"'{table}' is a streaming table over a batch query; "
                "use @dp.materialized_view, or spark.readStream.",
                location=flow.location,
            )
        reads, streams = frozenset(reader.reads), frozenset(reader.streams)
        folders = tuple(reader.folders.values())
        flows.append(Flow(flow, reads, streams, reader.reads_files, folders, reader.settings))
        found = rows.schema
        if flow.cdc:
            sequence = rows.select(sequence_column(flow)).schema[0].dataType
            if sequences.setdefault("first", sequence) != sequence:
                raise GraphError(
                    f"the auto CDC flows into '{table}' have sequences of different types: "
                    f"{sequences['first'].simpleString()} and {sequence.simpleString()}.",
                    location=flow.location,
                )
            found = change_target_schema(flow, found, sequence)
        schema = schema or found
        if definition.kind == "MATERIALIZED_VIEW":
            paths = frozenset(str(storage.table_path(read)) for read in reader.reads)
            known = (
                Fingerprint(None, "it reads a table with options")
                if reader.with_options
                else fingerprint(definition, rows, expectations, paths, {**settings, **reader.settings})
            )
    assert schema is not None
    if definition.schema:
        schema = declared_schema(definition.schema)
    upstream = frozenset(read for flow in flows for read in flow.reads if read in names.tables)
    return Dataset(table, definition, tuple(flows), schema, upstream, known)


def _call(flow: FlowDefinition) -> DataFrame:
    from pyspark.sql import DataFrame

    assert flow.query is not None
    rows = flow.query()
    if not isinstance(rows, DataFrame):
        raise GraphError(
            f"'{flow.name}' returned {type(rows).__name__}, not a DataFrame.", location=flow.location
        )
    return rows


def _verb(streaming: bool) -> str:
    return "readStream" if streaming else "read"


def _checker(definition: DatasetDefinition, report: Report | None) -> Apply:
    """Checks that constraints are expressions over the rows; the rows stay as they are."""

    def check(rows: DataFrame, dataset: str, declared: tuple[ex.Expectation, ...]) -> DataFrame:
        from pyspark.sql import functions as F  # noqa: N812

        if not declared:
            return rows
        if report is None:
            try:
                _ = rows.select(*[F.expr(item.constraint) for item in declared]).schema
            except Exception:
                pass  # find out which one
            else:
                return rows
        for item in declared:
            try:
                asked = rows.select(F.expr(item.constraint))
                _ = asked.schema
            except Exception as error:
                if report is None:
                    raise GraphError(
                        f"Dataset '{dataset}', expectation '{item.name}': {first_line(error, at_most=500)}"
                    ) from error
                report(definition, item, error)
            else:
                if report and not _is_deterministic(asked):
                    report(
                        definition,
                        item,
                        GraphError("it is not deterministic, or depends on the row's position"),
                    )
        return rows

    return check


@contextlib.contextmanager
def _reported_already(report: Report | None) -> Iterator[None]:
    try:
        yield
    except _UpstreamError:
        if report is None:
            raise


def _is_deterministic(asked: DataFrame) -> bool:
    """Whether the only expression in these rows is deterministic."""
    projection: Any = asked._jdf.queryExecution().analyzed()
    return bool(projection.expressions().head().deterministic())
