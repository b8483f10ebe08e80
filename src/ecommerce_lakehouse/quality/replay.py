"""Sends corrected rows of a quarantine back through the pipeline that refused them: `Corrections`.

A corrected line arrives like any other, in a file of the entity's folder. A file is ingested once, even after
a full refresh, so its rows are in silver once, or in quarantine again for what is still wrong. The
quarantined original stays as evidence.

All state is in files of the volume, the same on Databricks and on a laptop:

    corrections/<entity>/<row id>.json     one correction: the row, the new line, who, when, why
    corrections/<entity>/replays/<id>.json the corrections that one replay claims, written first
    <entity's folder>/replay_<id>.json     their lines, written second

If a replay is killed in between, the next one finishes it first: a correction that was claimed is in exactly
one file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.files import exclusive, write_whole
from ecommerce_lakehouse.domain.entities import ENTITIES, Entity
from ecommerce_lakehouse.errors import FAILED, USAGE, ShopError, first_line

Model = TypeVar("Model", bound=BaseModel)
REPLAYABLE = {entity.target: entity for entity in ENTITIES.values()}


class ReplayError(ShopError):
    """A correction cannot be recorded; the message is one line that says what to do."""

    code = "INVALID_CORRECTION"
    exit_code = USAGE


class ReplayFailedError(ReplayError):
    """A correction or replay is not possible now, even if it is right."""

    code = "NOT_REPLAYED"
    exit_code = FAILED


class QuarantinedRow(BaseModel):
    """A row of a quarantine table, by the columns that identify and explain it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    raw_text: str
    source_file: str
    broken_rules: tuple[str, ...]

    @property
    def row_id(self) -> str:
        """The same for equal lines of one file, which are one correction."""
        name = self.source_file.rpartition("/")[2]
        return hashlib.sha256(f"{name}\n{self.raw_text}".encode()).hexdigest()[:16]


class Correction(BaseModel):
    """The correction of one quarantined row. `replay` is the replay that claimed it, None while it waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    entity: str
    source_file: str
    raw_text: str
    broken_rules: tuple[str, ...]
    corrected: str
    by: str
    at: datetime
    reason: str = ""
    replay: str | None = None


class Replay(BaseModel):
    """One replay: the corrections that it claims, in the order of their lines, and who started it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replay_id: str = Field(pattern=r"^[0-9]{8}T[0-9]{6}_[0-9a-f]{8}$")
    entity: str
    by: str
    at: datetime
    rows: tuple[str, ...]


class Corrections:
    """The corrections of one entity's quarantine, by its target name, such as `orders`.

    Raises ReplayError for an entity that has no quarantine.
    """

    def __init__(self, config: LakehouseConfig, target: str) -> None:
        if target not in REPLAYABLE:
            raise ReplayError(f"Unknown quarantine '{target}'. Valid: {', '.join(REPLAYABLE)}.")
        self.entity: Entity = REPLAYABLE[target]
        self._target = target
        self._config = config
        self._folder = Path(config.folder_path(f"corrections/{target}"))
        self._replays = self._folder / "replays"
        self._arrivals = Path(config.folder_path(self.entity.folder))

    def all(self) -> list[Correction]:
        """Every correction, oldest first, with the replay that claimed it."""
        claimed = {row: replay.replay_id for replay in self.replays() for row in replay.rows}
        found = [_read(Correction, file) for file in sorted(self._folder.glob("*.json"))]
        return sorted(
            (item.model_copy(update={"replay": claimed.get(item.row_id)}) for item in found),
            key=lambda item: (item.at, item.row_id),
        )

    def replays(self) -> list[Replay]:
        """Every replay, oldest first."""
        return [_read(Replay, file) for file in sorted(self._replays.glob("*.json"))]

    def fix(
        self,
        lines: Mapping[QuarantinedRow, str],
        *,
        by: str,
        reason: str = "",
        now: datetime | None = None,
    ) -> list[Correction]:
        """Record the line that replaces each row; until its replay, a row can be fixed again.

        Raises ReplayError, and records nothing, if a line is not one JSON object or has not changed, if its
        row was replayed, or while another process replays or fixes rows of this quarantine.
        """
        with self._alone(ReplayError):
            return self._fix(lines, by, reason, now or datetime.now(UTC))

    def _fix(
        self, lines: Mapping[QuarantinedRow, str], by: str, reason: str, at: datetime
    ) -> list[Correction]:
        claimed = {row for replay in self.replays() for row in replay.rows}
        for row, line in lines.items():
            record(line)
            if line == row.raw_text:
                raise ReplayError(f"Row {row.row_id}: the corrected line is unchanged.")
            if row.row_id in claimed:
                raise ReplayError(f"Row {row.row_id} has been replayed; fix the row that it became instead.")
        made = [
            Correction(
                row_id=row.row_id,
                entity=self._target,
                source_file=row.source_file,
                raw_text=row.raw_text,
                broken_rules=row.broken_rules,
                corrected=line,
                by=by,
                at=at,
                reason=reason,
            )
            for row, line in lines.items()
        ]
        for item in made:
            write_whole(
                self._folder / f"{item.row_id}.json", item.model_dump_json(indent=2, exclude={"replay"})
            )
        return made

    def replay(self, *, by: str, now: datetime | None = None) -> list[Replay]:
        """Send back every waiting correction; returns the replays that this call wrote or finished.

        Calling it again changes nothing. Raises ReplayError while another process replays or fixes rows of
        this quarantine.
        """
        with self._alone(ReplayFailedError):
            return self._replay(by, now or datetime.now(UTC))

    def _alone(self, error: type[ReplayError]) -> AbstractContextManager[None]:
        busy = error(f"Another process corrects or replays rows of '{self._target}'; wait for it to end.")
        return exclusive(self._folder / ".lock", self._config, busy)

    def _replay(self, by: str, at: datetime) -> list[Replay]:
        written = [replay for replay in self.replays() if self._deliver(replay)]
        waiting = tuple(item.row_id for item in self.all() if item.replay is None)
        if waiting:
            digest = hashlib.sha256("\n".join(waiting).encode()).hexdigest()[:8]
            replay = Replay(
                replay_id=f"{at:%Y%m%dT%H%M%S}_{digest}", entity=self._target, by=by, at=at, rows=waiting
            )
            write_whole(self._replays / f"{replay.replay_id}.json", replay.model_dump_json(indent=2))
            self._deliver(replay)
            written.append(replay)
        return written

    def arrival(self, replay: Replay) -> Path:
        """The file in which a replay's lines arrive."""
        return self._arrivals / f"replay_{replay.replay_id}.json"

    def _deliver(self, replay: Replay) -> bool:
        """Write a replay's file unless it exists; returns whether it was written."""
        file = self.arrival(replay)
        if file.exists():
            return False
        lines = [_read(Correction, self._folder / f"{row}.json").corrected for row in replay.rows]
        write_whole(file, "".join(f"{line}\n" for line in lines))
        return True


def correcting_query(
    table: str, entity: Entity, values: Mapping[str, str] | None = None, where: str = "true"
) -> str:
    """SQL over a quarantine table: `raw_text`, `source_file`, `broken_rules`, and `set_<field>` per value.

    `values` maps fields to SQL expressions. They and `where` see the entity's fields as the text that was
    delivered, and `raw_text`, `broken_rules`, `ingested_at`. Raises ReplayError for an unknown field.
    """
    for field in values or {}:
        if field not in entity.field_names:
            raise ReplayError(f"Unknown field '{field}'. Valid: {', '.join(entity.field_names)}.")
    given = [f"get_json_object(raw_text, '$.{field}') AS {field}" for field in entity.field_names]
    columns = ["raw_text", "source_file", "broken_rules"]
    chosen = [*columns, *(f"({expression}) AS set_{field}" for field, expression in (values or {}).items())]
    return (
        f"SELECT {', '.join(chosen)} FROM "
        f"(SELECT {', '.join([*columns, 'ingested_at', *given])} FROM {table}) AS quarantined WHERE {where}"
    )


def corrected_lines(rows: Iterable[Mapping[str, Any]], values: Iterable[str]) -> dict[QuarantinedRow, str]:
    """The new lines of a correcting query's rows, by `set_<field>`; equal lines of a file occur once."""
    fields = tuple(values)
    lines = {}
    for given in rows:
        row = QuarantinedRow.model_validate(given)
        new = {field: _as_json(given[f"set_{field}"]) for field in fields}
        try:
            lines[row] = json.dumps(record(row.raw_text) | new, ensure_ascii=False)
        except ReplayError:
            raise ReplayError(
                f"Row {row.row_id} is not one JSON object that gives each key once, so its fields cannot be "
                "set; give its whole line."
            ) from None
    return lines


def record(line: str) -> dict[str, Any]:
    """The JSON object in a line; ReplayError if it is anything else or has a key twice."""
    try:
        found = json.loads(line, object_pairs_hook=_each_once)
    except ValueError as error:
        raise ReplayError(f"The line is not JSON: {error}.") from None
    if not isinstance(found, dict) or "\n" in line:
        raise ReplayError("A corrected row is one JSON object on one line.")
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ReplayError(f"The key '{next(n for n in names if names.count(n) > 1)}' is given twice.")
    return found


def _as_json(value: object) -> object:
    """Text for values that JSON would round or lacks; the pipeline reads every field from text."""
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _read(model: type[Model], file: Path) -> Model:
    try:
        return model.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ReplayFailedError(f"{file} cannot be read: {first_line(error)}.") from None
