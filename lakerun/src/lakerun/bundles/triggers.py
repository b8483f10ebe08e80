"""Reads what starts a job's runs besides its schedule: an interval, files, tables, or the end of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from lakerun.bundles.sections import Section

PAUSE_STATUSES = ("PAUSED", "UNPAUSED")
UNIT_HOURS = {"HOURS": 1, "DAYS": 24, "WEEKS": 24 * 7}
CONDITIONS = ("ANY_UPDATED", "ALL_UPDATED")
VOLUMES = "/Volumes/"
MOST = 10**6  # hours or seconds; the scheduler cannot reckon with centuries


class TriggerSpec(BaseModel):
    """One trigger. Only the fields of its `kind` are set.

    A watched folder or table starts a run once nothing has changed for `quiet_seconds`, and at least
    `pause_seconds` after the start before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["interval", "files", "tables", "continuous"]
    hours: int = 0
    folder: str = ""
    tables: tuple[str, ...] = ()
    all_tables: bool = False
    pause_seconds: int = 0
    quiet_seconds: int = 0


def read_trigger(job: Section) -> TriggerSpec | None:
    """The trigger of a job; None without one, or while it is paused."""
    continuous, trigger = job.section("continuous"), job.section("trigger")
    if continuous.values and _is_active(continuous):
        return TriggerSpec(kind="continuous")
    if not trigger.values or not _is_active(trigger):
        return None
    if trigger.values.get("periodic") is not None:
        periodic = trigger.section("periodic")
        unit = periodic.choice("unit", tuple(UNIT_HOURS))
        return TriggerSpec(
            kind="interval", hours=periodic.number("interval", least=1, most=MOST) * UNIT_HOURS[unit]
        )
    for key in ("file_arrival", "table_update"):
        if trigger.values.get(key) is None:
            continue
        watched = trigger.section(key)
        times = {
            "pause_seconds": watched.number("min_time_between_triggers_seconds", 0, most=MOST),
            "quiet_seconds": watched.number("wait_after_last_change_seconds", 0, most=MOST),
        }
        if key == "file_arrival":
            return TriggerSpec(kind="files", folder=watched.text("url"), **times)
        return TriggerSpec(
            kind="tables",
            tables=watched.texts("table_names"),
            all_tables=watched.choice("condition", CONDITIONS, "ANY_UPDATED") == "ALL_UPDATED",
            **times,
        )
    return None


def _is_active(section: Section) -> bool:
    return section.choice("pause_status", PAUSE_STATUSES, "UNPAUSED") == "UNPAUSED"
