"""What a run would send, before anything is sent: `make_plan`, and `PlanFile`, a plan that can be saved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.activation.sync.declarations import LIMITS, AnySync, SyncError
from ecommerce_lakehouse.activation.sync.diff import DUE, differences, with_messages
from ecommerce_lakehouse.activation.sync.messages import key_text, mapped
from ecommerce_lakehouse.activation.sync.sources import changed_keys, source_of
from ecommerce_lakehouse.activation.sync.tables import LastRun, SyncTables
from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.errors import ShopError
from ecommerce_lakehouse.observability.arrow_rows import arrow_rows

ENVELOPE = len('{"batch":[]}')
CALLS_A_SECOND = LIMITS.requests / LIMITS.seconds
MESSAGES_A_SECOND = 10_000
"""What is assumed before a run has shown how many it sends."""
MOST_REPEATED_KEYS = 10_000
COUNTED = (*DUE, "held", "unchanged", "rejected", "refused")


class PlanError(ShopError):
    """A saved plan cannot be carried out: it is of other tables than those that there are now."""

    code = "PLAN_OUTDATED"


class DeleteGuardError(ShopError):
    """So many rows are gone that something is probably wrong with the table."""

    code = "TOO_MANY_DELETES"


class SyncPlan(BaseModel):
    """The figures of one sync.

    `calls` and `seconds` are estimates; `bytes` are those of the messages. `held` counts the rows that are
    gone where the sync does not delete. `compared` is `all` rows, or those that `changed`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sync: str
    table: str
    declaration: str
    versions: dict[str, str]
    compared: str
    insert: int = 0
    update: int = 0
    delete: int = 0
    held: int = 0
    unchanged: int = 0
    rejected: int = 0
    refused: int = 0
    reasons: dict[str, int] = {}
    bytes: int = 0
    calls: int = 0
    seconds: float = 0.0
    sample: list[dict[str, Any]] = []

    @property
    def due(self) -> int:
        """How many messages would be sent."""
        return self.insert + self.update + self.delete


class PlanFile(BaseModel):
    """A plan of several syncs, as it is saved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: str
    catalog: str
    schema_name: str
    made_at: datetime
    syncs: list[SyncPlan]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> PlanFile:
        """Read a saved plan. Raises PlanError for a file that is not one."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise PlanError(f"{path} cannot be read: {error.strerror}.") from None
        except (ValidationError, UnicodeDecodeError):
            raise PlanError(
                f"{path} is not a plan; 'lakehouse activate plan --out FILE' writes one."
            ) from None


@dataclass(frozen=True)
class Planned:
    """A plan with the rows that it counts, None if there are none; `diff.with_messages` has their columns."""

    plan: SyncPlan
    rows: DataFrame | None
    repeated: Sequence[tuple[str | None, int]]


def make_plan(
    spark: SparkSession,
    tables: SyncTables,
    sync: AnySync,
    *,
    replay: bool = False,
    keys: DataFrame | None = None,
) -> Planned:
    """Compare a sync's table with what was accepted. Nothing is sent or written.

    Args:
        spark: The session.
        tables: The state of deliveries.
        sync: The declaration.
        replay: What was rejected before is due again.
        keys: Only these keys are compared, a column `key`, of at most `MOST_CHANGED`; by default those that
            can have changed.

    Raises:
        SyncError: The declaration does not fit the table, or its key is not one.
    """
    source = source_of(spark, tables, sync)
    rows = source.rows
    declaration = declaration_hash(sync)
    state = tables.state(sync.name)
    last = tables.last_run(sync.name)
    found = None
    if last is not None and last.declaration == declaration and not replay and keys is None:
        found = changed_keys(spark, tables, sync, source, last.versions)
    plan = SyncPlan(
        sync=sync.name,
        table=sync.table,
        declaration=declaration,
        versions=source.versions,
        compared="all" if found is None and keys is None else "changed",
    )
    live = tables.live(sync.name) if plan.compared == "changed" else None
    if found is not None and not found.num_rows:
        return Planned(plan.model_copy(update={"unchanged": live}), None, [])
    if found is not None:
        keys = spark.createDataFrame(found, "key string")
    if keys is not None:
        # Before anything is computed of the rows.
        chosen = F.broadcast(keys.withColumnRenamed("key", "_chosen"))
        rows = rows.join(chosen, key_text(sync) == F.col("_chosen"), "left_semi")
        state = state.join(F.broadcast(keys), "key", "left_semi") if state is not None else None
    current = mapped(rows, sync)
    if keys is not None:
        # They are few, and are looked at more than once.
        current = replace(current, frame=_on_the_driver(current.frame))
        state = _on_the_driver(state) if state is not None else None
    repeated = _repeated_keys(current.frame, sync)
    if repeated:
        keyed = [{"key": key} for key, _ in repeated if key is not None]
        bad = spark.createDataFrame(arrow_rows(keyed, "key string"), "key string")
        frame = current.frame.where("key IS NOT NULL").join(F.broadcast(bad), "key", "left_anti")
        current = replace(current, frame=frame)
        # What was sent of these keys is not gone.
        state = state.join(F.broadcast(bad), "key", "left_anti") if state is not None else None
    compared = with_messages(differences(current, state, sync, replay=replay), current, sync)
    counts = _counts(compared, repeated, sync, _speed(last), live)
    return Planned(plan.model_copy(update=counts), compared, repeated)


def declaration_hash(sync: AnySync) -> str:
    """It changes with all that a sync declares."""
    return hashlib.sha256(sync.model_dump_json(exclude={"location"}).encode()).hexdigest()[:16]


def check_deletes(sync: AnySync, plan: SyncPlan, tables: SyncTables) -> None:
    """Raise DeleteGuardError if a plan deletes more than the sync allows."""
    if sync.deletes is None or not plan.delete:
        return
    live = tables.live(sync.name)
    percent = 100 * plan.delete / max(live, 1)
    if percent > sync.deletes.max_percent:
        raise DeleteGuardError(
            f"sync '{sync.name}': {plan.delete:,} of {live:,} rows are gone, {percent:.1f} %, and "
            f"{sync.deletes.max_percent:g} % may be. Check {sync.table}; --allow-deletes deletes them.",
            location=sync.location,
        )


def check_unchanged(saved: SyncPlan, now: SyncPlan) -> None:
    """Raise PlanError, which names the tables, if a saved plan is of another state of things."""
    changed = [name for name in now.versions if saved.versions.get(name) != now.versions[name]]
    if changed:
        raise PlanError(
            f"sync '{saved.sync}': {', '.join(changed)} changed since the plan was made; plan again."
        )
    if saved.declaration != now.declaration:
        raise PlanError(f"sync '{saved.sync}' was declared otherwise when the plan was made; plan again.")
    if (saved.insert, saved.update, saved.delete) != (now.insert, now.update, now.delete):
        raise PlanError(f"sync '{saved.sync}': something was sent since the plan was made; plan again.")


def plans_of(saved: PlanFile, chosen: Sequence[str], known: Iterable[str]) -> dict[str, SyncPlan]:
    """A saved file's plans by sync: of those that were chosen by name, else of all.

    Raises PlanError for a sync that was chosen and has no plan, and for a plan of a sync that is not known.
    """
    plans = {plan.sync: plan for plan in saved.syncs}
    if without := [name for name in chosen if name not in plans]:
        raise PlanError(f"the plan has no sync '{without[0]}'; it has {', '.join(sorted(plans))}.")
    wanted = {name: plan for name, plan in plans.items() if name in chosen or not chosen}
    if gone := [name for name in wanted if name not in set(known)]:
        raise PlanError(
            f"the plan is also of {', '.join(gone)}, and there is no such sync any more; plan again, or name "
            "the syncs to send."
        )
    return wanted


def plan_file(config: LakehouseConfig, plans: Iterable[SyncPlan]) -> PlanFile:
    """The plans of an environment, to be saved."""
    return PlanFile(
        environment=config.environment,
        catalog=config.catalog,
        schema_name=config.schema,
        made_at=datetime.now(UTC),
        syncs=list(plans),
    )


def _on_the_driver(rows: DataFrame) -> DataFrame:
    return rows.sparkSession.createDataFrame(rows.toArrow(), rows.schema)


def _repeated_keys(rows: DataFrame, sync: AnySync) -> list[tuple[str | None, int]]:
    """Keys that do not identify a row, with how many rows have them; None for rows without a key."""
    found = (
        rows.groupBy("key").count().where("count > 1 OR key IS NULL").limit(MOST_REPEATED_KEYS + 1).collect()
    )
    if len(found) > MOST_REPEATED_KEYS:
        raise SyncError(
            f"sync '{sync.name}': more than {MOST_REPEATED_KEYS:,} values of {', '.join(sync.keys)} occur "
            f"more than once in {sync.table}; it does not identify a row",
            location=sync.location,
        )
    return sorted(((row["key"], row["count"]) for row in found), key=lambda item: item[0] or "")


def reason_of(key: str | None, count: int) -> str:
    """Why rows with such a key cannot be sent."""
    return f"{count} rows have no key" if key is None else f"{count} rows have this key"


def _counts(
    rows: DataFrame,
    repeated: Sequence[tuple[str | None, int]],
    sync: AnySync,
    speed: float,
    live: int | None,
) -> dict[str, Any]:
    counts = dict.fromkeys(COUNTED, 0)
    reasons: dict[str, int] = {}
    sample: list[dict[str, Any]] = []
    sent = 0
    of_operation = rows.where("operation != 'none'").groupBy("operation", "problem")
    found = of_operation.agg(
        F.count("*").alias("rows"),
        F.sum("bytes").alias("bytes"),
        F.count_if("live").alias("live"),
        F.first("type").alias("type"),
        F.first("message").alias("message"),
    )
    for row in sorted(found.collect(), key=lambda row: COUNTED.index(row["operation"])):
        counts[row["operation"]] += row["rows"]
        if live is not None and row["operation"] != "unchanged":
            live -= row["live"]
        if row["operation"] == "refused":
            reasons[row["problem"]] = reasons.get(row["problem"], 0) + row["rows"]
        if row["operation"] in DUE:
            sent += row["bytes"]
            shown = masked(json.loads(row["message"]))
            sample.append({"operation": row["operation"], "type": row["type"], **shown})
    for key, count in repeated:
        reason = "the row has no key" if key is None else "several rows have the same key"
        reasons[reason] = reasons.get(reason, 0) + count
        counts["refused"] += count
    if live is not None:
        counts["unchanged"] = live
    messages = sum(counts[name] for name in DUE)
    calls = messages if _alone(sync) else -(-(sent + messages) // (LIMITS.batch_bytes - ENVELOPE))
    return counts | {
        "reasons": dict(sorted(reasons.items())),
        "bytes": sent,
        "calls": calls,
        "seconds": round(max(calls / CALLS_A_SECOND, messages / speed), 1),
        "sample": sample,
    }


def _alone(sync: AnySync) -> bool:
    """Whether each message is a call: one with a context goes by itself."""
    return sync.call == "device"


def _speed(last: LastRun | None) -> float:
    """Messages a second, as the last run of the sync had them."""
    if last is None or not last.accepted or not last.seconds:
        return MESSAGES_A_SECOND
    return max(1.0, last.accepted / last.seconds)


_SHOWN = ("event", "object_type_id", "objectTypeId", "timestamp")


def masked(value: Any, name: str = "") -> Any:
    """A message without personal data: of a text only the first character is shown."""
    if isinstance(value, dict):
        return {key: masked(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item, name) for item in value]
    if isinstance(value, str) and name not in _SHOWN:
        return f"{value[:1]}***" if len(value) > 1 else "***"
    return value
