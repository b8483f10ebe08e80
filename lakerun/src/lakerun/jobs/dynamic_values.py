"""Dynamic value references, `{{job.run_id}}` and the like, in the settings of a job's tasks.

Databricks documents the names ("What is a dynamic value reference?"). A name outside of the known namespaces
stays as written; an unknown name within them is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lakerun.errors import LakerunError, UnknownNameError

REFERENCE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
BRACKETS = re.compile(r"\[([^\[\]]*)\]")  # Databricks documents {{job.parameters.[name]}}
NAMESPACES = ("job", "task", "tasks", "workspace", "input", "backfill")
# References in older jobs, which Databricks still replaces.
DEPRECATED = {
    "job_id": "job.id",
    "run_id": "task.run_id",
    "parent_run_id": "job.run_id",
    "task_key": "task.name",
    "start_date": "job.start_time.iso_date",
    "start_time": "job.start_time.timestamp_ms",
}


def substitute(value: Any, values: Mapping[str, Any], *, scalars_only: bool = False) -> Any:
    """`value` with every reference replaced by its text, also in nested mappings and lists.

    Raises UnknownNameError for a name that is not in `values`. With `scalars_only`, raises LakerunError for a
    list or an object.
    """
    if isinstance(value, str):

        def replace(found: re.Match[str]) -> str:
            name = DEPRECATED.get(found[1], BRACKETS.sub(r"\1", found[1]).replace("`", ""))
            if name.split(".")[0] not in NAMESPACES:
                return found[0]
            if name not in values:
                raise UnknownNameError(
                    "dynamic value", f"{{{{{name}}}}}", (f"{{{{{key}}}}}" for key in values)
                )
            if scalars_only and isinstance(values[name], (list, dict)):
                raise LakerunError(f"{{{{{name}}}}} is not a number, text or boolean and cannot be compared.")
            return reference_text(values[name])

        return REFERENCE.sub(replace, value)
    if isinstance(value, Mapping):
        return {key: substitute(item, values, scalars_only=scalars_only) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, values, scalars_only=scalars_only) for item in value]
    return value


def reference_text(value: object) -> str:
    """A value as part of text: booleans as true and false, lists and objects as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def time_values(prefix: str, moment: datetime) -> dict[str, str]:
    """The values of the references to a time, which begin with `prefix`, in UTC."""
    moment = moment.astimezone(UTC)
    return {
        f"{prefix}.iso_date": moment.strftime("%Y-%m-%d"),
        f"{prefix}.iso_datetime": moment.strftime("%Y-%m-%dT%H:%M:%S"),
        f"{prefix}.iso_weekday": str(moment.isoweekday()),
        f"{prefix}.is_weekday": "true" if moment.isoweekday() <= 5 else "false",
        f"{prefix}.timestamp_ms": str(int(moment.timestamp() * 1000)),
        f"{prefix}.year": str(moment.year),
        f"{prefix}.month": str(moment.month),
        f"{prefix}.day": str(moment.day),
        f"{prefix}.hour": str(moment.hour),
        f"{prefix}.minute": str(moment.minute),
        f"{prefix}.second": str(moment.second),
    }


def input_values(item: object) -> dict[str, Any]:
    """The references of an iteration of a for-each task: `{{input}}`, and the fields of an object."""
    values: dict[str, Any] = {"input": item}
    if isinstance(item, Mapping):
        values |= {f"input.{key}": value for key, value in item.items()}
    return values
