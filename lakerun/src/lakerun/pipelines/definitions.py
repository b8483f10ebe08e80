"""Loads pipeline source files as Lakeflow does: what the `dp` decorators declare becomes `Definitions`.

Spark's own `pyspark.pipelines` decorators register tables and flows; this module adds to them, while files
load, the features of Databricks that open-source Spark lacks: `expect*`, expectations on streaming tables,
and all of `create_auto_cdc_flow`.
"""

from __future__ import annotations

import io
import runpy
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lakerun.console import console, current_console
from lakerun.errors import GraphError, LakerunError, typed_first_line
from lakerun.patches import (
    AUTO_CDC_FLOWS,
    DECLARATIONS,
    EXPECTATIONS,
    STREAMING_TABLES,
    Patch,
    Replace,
    importable,
    patched,
)
from lakerun.pipelines import expectations as ex
from lakerun.pipelines.arguments import taken

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

DatasetKind = Literal["STREAMING_TABLE", "MATERIALIZED_VIEW", "VIEW"]


@dataclass(frozen=True)
class DatasetDefinition:
    """A streaming table, materialized view or temporary view, as declared."""

    name: str
    kind: DatasetKind
    comment: str
    location: str
    table_properties: Mapping[str, str] = field(default_factory=dict)
    partition_cols: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    schema: str | None = None
    expectations: tuple[ex.Expectation, ...] = ()
    spark_conf: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AutoCdc:
    """The settings of an auto CDC flow: see `create_auto_cdc_flow`."""

    source: str
    keys: tuple[str, ...]
    sequence_by: str | Column
    apply_as_deletes: str | Column | None = None
    ignore_null_updates: bool = False
    column_list: tuple[str, ...] | None = None
    except_column_list: tuple[str, ...] = ()
    track_history: tuple[str, ...] | None = None
    track_history_except: tuple[str, ...] = ()
    scd_type: Literal[1, 2] = 1


@dataclass(frozen=True)
class FlowDefinition:
    """A query that writes to a dataset: a function that returns a DataFrame, or changes to apply."""

    name: str
    target: str
    location: str
    query: Callable[[], Any] | None
    cdc: AutoCdc | None = None
    spark_conf: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Definitions:
    """Everything that a pipeline's source files declare, in order, and what they printed.

    `without_effect` says which arguments change nothing here, and why.
    """

    datasets: dict[str, DatasetDefinition] = field(default_factory=dict)
    flows: dict[str, FlowDefinition] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)

    def add_dataset(self, dataset: DatasetDefinition) -> None:
        if dataset.name in self.datasets:
            first = self.datasets[dataset.name].location
            raise GraphError(f"Dataset '{dataset.name}' is declared twice: {first} and {dataset.location}.")
        self.datasets[dataset.name] = dataset

    def add_flow(self, flow: FlowDefinition) -> None:
        if flow.name in self.flows:
            first = self.flows[flow.name].location
            raise GraphError(f"Flow '{flow.name}' is declared twice: {first} and {flow.location}.")
        self.flows[flow.name] = flow


def load_definitions(
    source_files: Sequence[Path], session: SparkSession, import_root: Path | None = None
) -> Definitions:
    """Run the source files in order and collect what they declare.

    Raises GraphError or LakerunError in one line with file and line.
    """
    from pyspark.pipelines.graph_element_registry import graph_element_registration_context

    definitions = Definitions()
    registry = _registry(definitions)
    printed = io.StringIO()
    with (
        patched(_EXTENSIONS),
        importable(import_root),
        console(replace(current_console(), stdout=printed)),
        graph_element_registration_context(registry),
    ):
        for file in source_files:
            try:
                runpy.run_path(str(file), init_globals={"spark": session}, run_name=file.stem)
            except LakerunError:
                raise
            except Exception as error:
                raise LakerunError(typed_first_line(error), location=_place(error, file)) from error
    definitions.printed = printed.getvalue().splitlines()
    return definitions


_MACHINERY = (__file__, str(Path("pyspark", "pipelines")))


def _registry(definitions: Definitions) -> Any:
    from pyspark.pipelines import output as out
    from pyspark.pipelines.flow import AutoCdcFlow, Flow
    from pyspark.pipelines.graph_element_registry import GraphElementRegistry

    class Registry(GraphElementRegistry):
        def __init__(self) -> None:
            self.definitions = definitions

        def register_output(self, output: out.Output) -> None:
            location = _caller()
            if isinstance(output, out.TemporaryView):
                definitions.add_dataset(
                    DatasetDefinition(output.name, "VIEW", output.comment or "", location)
                )
                return
            if not isinstance(output, out.Table):
                raise GraphError(
                    f"create_sink: '{output.name}' is not supported here. A pipeline writes only tables.",
                    location=location,
                )
            kind: DatasetKind = (
                "MATERIALIZED_VIEW" if isinstance(output, out.MaterializedView) else "STREAMING_TABLE"
            )
            schema = output.schema
            definitions.add_dataset(
                DatasetDefinition(
                    name=output.name,
                    kind=kind,
                    comment=output.comment or "",
                    location=location,
                    table_properties=dict(output.table_properties),
                    partition_cols=tuple(output.partition_cols or ()),
                    cluster_by=tuple(output.cluster_by or ()),
                    schema=schema if schema is None or isinstance(schema, str) else _ddl(schema),
                )
            )

        def register_flow(self, flow: Flow) -> None:
            definitions.add_flow(
                FlowDefinition(
                    name=flow.name,
                    target=flow.target,
                    location=_caller(),
                    query=flow.func,
                    spark_conf=_settings(flow.spark_conf),
                )
            )

        def register_auto_cdc_flow(self, flow: AutoCdcFlow) -> None:
            raise AssertionError("create_auto_cdc_flow is replaced while files load")

        def register_sql(self, sql_text: str, file_path: Path) -> None:
            raise GraphError("SQL source files cannot be run on a laptop.", location=file_path.name)

    return Registry()


def _loading() -> Definitions:
    """The definitions that this thread is loading; raises Spark's own error if it is not loading any."""
    from pyspark.pipelines.graph_element_registry import get_active_graph_element_registry

    declared: Definitions = get_active_graph_element_registry().definitions  # type: ignore[attr-defined]
    return declared


def _declaring(original: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `pyspark.pipelines` with the arguments that Databricks has, each of them checked."""

    @wraps(original)
    def declare(*values: Any, **options: Any) -> Any:
        declared = _loading()
        return original(
            *values, **taken(original.__name__, options, _caller(), declared.without_effect.append)
        )

    return declare


def _streaming_table(original: Callable[..., None]) -> Callable[..., None]:
    checked = _declaring(original)

    def create_streaming_table(
        name: str,
        *,
        spark_conf: Mapping[str, Any] | None = None,
        expect_all: Mapping[str, str] | None = None,
        expect_all_or_drop: Mapping[str, str] | None = None,
        expect_all_or_fail: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        checked(name, **options)
        actions: tuple[tuple[Mapping[str, str] | None, Literal["ALLOW", "DROP", "FAIL"]], ...] = (
            (expect_all, "ALLOW"),
            (expect_all_or_drop, "DROP"),
            (expect_all_or_fail, "FAIL"),
        )
        declared = tuple(
            ex.Expectation(key, constraint, action)
            for group, action in actions
            for key, constraint in (group or {}).items()
        )
        datasets = _loading().datasets
        datasets[name] = replace(
            datasets[name], expectations=declared, spark_conf=_settings(spark_conf or {})
        )

    return create_streaming_table


def _settings(given: Mapping[str, Any]) -> dict[str, str]:
    """Spark's settings as text."""
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()
    }


def create_auto_cdc_flow(
    target: str,
    source: str,
    keys: Sequence[str | Column],
    sequence_by: str | Column,
    ignore_null_updates: bool = False,
    apply_as_deletes: str | Column | None = None,
    apply_as_truncates: str | Column | None = None,
    column_list: Sequence[str | Column] | None = None,
    except_column_list: Sequence[str | Column] | None = None,
    stored_as_scd_type: int | str = 1,
    track_history_column_list: Sequence[str | Column] | None = None,
    track_history_except_column_list: Sequence[str | Column] | None = None,
    name: str | None = None,
    once: bool = False,
) -> None:
    location = _caller()
    refusable = {"apply_as_truncates": apply_as_truncates, "once": once}
    taken("create_auto_cdc_flow", refusable, location, _loading().without_effect.append)
    problem = None
    if not keys:
        problem = "needs at least one key"
    elif str(stored_as_scd_type) not in ("1", "2"):
        problem = f"needs stored_as_scd_type 1 or 2, not {stored_as_scd_type!r}"
    elif column_list and except_column_list:
        problem = "takes column_list or except_column_list, not both"
    elif track_history_column_list and track_history_except_column_list:
        problem = "takes one of the track_history lists, not both"
    if problem:
        raise GraphError(f"the auto CDC flow into '{target}' {problem}.", location=location)
    _loading().add_flow(
        FlowDefinition(
            name=name or target,
            target=target,
            location=location,
            query=None,
            cdc=AutoCdc(
                source=source,
                keys=_names(keys) or (),
                sequence_by=sequence_by,
                apply_as_deletes=apply_as_deletes,
                ignore_null_updates=ignore_null_updates,
                column_list=_names(column_list),
                except_column_list=_names(except_column_list) or (),
                track_history=_names(track_history_column_list),
                track_history_except=_names(track_history_except_column_list) or (),
                scd_type=2 if str(stored_as_scd_type) == "2" else 1,
            ),
        )
    )


def _instead(own: Any, original: Any) -> Any:
    return own


# Databricks' features, which the `pyspark.pipelines` module has while files load.
_EXTENSIONS: dict[Patch, Replace] = {
    **{patch: partial(_instead, getattr(ex, patch.attribute)) for patch in EXPECTATIONS},
    **dict.fromkeys(DECLARATIONS, _declaring),
    STREAMING_TABLES: _streaming_table,
    AUTO_CDC_FLOWS: partial(_instead, create_auto_cdc_flow),
}


def _names(columns: Sequence[str | Column] | None) -> tuple[str, ...] | None:
    if columns is None:
        return None
    return tuple(column if isinstance(column, str) else _column_name(column) for column in columns)


def _column_name(column: Column) -> str:
    return str(column._jc.toString())  # type: ignore[operator]


def _ddl(schema: Any) -> str:
    return ", ".join(
        f"`{item.name}` {item.dataType.simpleString()}{'' if item.nullable else ' NOT NULL'}"
        for item in schema
    )


def _caller() -> str:
    """The place in the code that called a function of `pyspark.pipelines`, in whichever file it is."""
    frame = sys._getframe(1)
    while frame.f_back and any(name in frame.f_code.co_filename for name in _MACHINERY):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _place(error: Exception, file: Path) -> str:
    """The innermost line of the error's trace in the pipeline's source file."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{Path(error.filename or file).name}:{error.lineno}"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    return f"{file.name}:{lines[-1]}" if lines else file.name
