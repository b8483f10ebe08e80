"""Compares a flow's inputs with those of its last completed run: `why_stale`, `nothing_new`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lakerun.errors import LakerunError
from lakerun.pipelines.state import FlowProgress, Refreshed, Seen
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName

if TYPE_CHECKING:
    from pathlib import Path

    from lakerun.pipelines.graph import Dataset, Flow

UNREAD = -1


def seen_now(storage: Storage, names: Iterable[TableName]) -> dict[str, Seen]:
    """Tables as they are before a flow reads them: the flow sees at least these rows."""
    found = {str(name): _seen(storage.table_path(name)) for name in names}
    return {name: seen for name, seen in found.items() if seen}


def refreshed(dataset: Dataset, inputs: Mapping[str, Seen], path: Path, version: int) -> Refreshed:
    """The record of a view's refresh that wrote this version of the table at `path`."""
    return Refreshed(dataset.fingerprint.value or "", inputs, Seen(Table(path).table_id or "", version))


def why_stale(dataset: Dataset, flow: Flow, last: Refreshed | None, storage: Storage) -> str:
    """The reason why a view must be computed; empty if its last refresh is up to date."""
    known = dataset.fingerprint
    if known.value is None:
        return f"It is computed at each update: {known.unknown}."
    if last is None:
        return "It is computed for the first time."
    if last.definition != known.value or set(last.inputs) != {str(name) for name in flow.reads}:
        return "Its definition, or the pipeline's configuration, has changed."
    if _changed(storage.table_path(dataset.name), last.table):
        return "The table was changed by something else."
    changed = [
        name
        for name in sorted(flow.reads, key=str)
        if _changed(storage.table_path(name), last.inputs[str(name)])
    ]
    return f"{_names(changed)} changed." if changed else ""


def nothing_new(flow: Flow, progress: FlowProgress, storage: Storage) -> bool:
    """Whether a flow streams only tables, and none has new rows since the flow last completed."""
    if flow.reads_files or not flow.streams or set(progress.inputs) != {str(name) for name in flow.streams}:
        return False
    return not any(_changed(storage.table_path(name), progress.inputs[str(name)]) for name in flow.streams)


def check_sources(dataset: Dataset, flow: Flow, progress: FlowProgress, storage: Storage) -> None:
    """Raises LakerunError if a flow would stream from another table than before."""
    fix = f"run again with --full-refresh {dataset.name.table}"
    for name in sorted(flow.streams, key=str):
        before = progress.inputs.get(str(name))
        if before and before.table_id not in ("", Table.named(storage, name).table_id):
            raise LakerunError(f"Table {name} was recreated after '{flow.name}' streamed from it: {fix}.")
    if progress.inputs and set(progress.inputs) != {str(name) for name in flow.streams}:
        was = _names(sorted(progress.inputs))
        raise LakerunError(f"Flow '{flow.name}' streamed from {was} before, but not any more: {fix}.")


def compared(flow: Flow, names: Iterable[TableName]) -> str:
    """The inputs that a skipped flow was compared with, for its event."""
    return f"up to date with {_names(sorted(names, key=str)) or 'its definition'}"


def _changed(path: Path, before: Seen) -> bool:
    """Whether the table was replaced or its rows changed. OPTIMIZE and VACUUM do not count."""
    table = Table(path)
    return (
        before.version == UNREAD
        or not before.table_id
        or table.table_id != before.table_id
        or table.data_changed_since(before.version)
    )


def _seen(path: Path) -> Seen | None:
    table = Table(path)
    version = table.newest
    return None if version is None else Seen(table.table_id or "", version)


def _names(names: Iterable[object]) -> str:
    return ", ".join(str(name).rsplit(".", 1)[-1] for name in names)
