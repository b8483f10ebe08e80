"""A job's settings as the API stores them: checked, with defaults. Other fields are kept as given."""

from __future__ import annotations

import re

from lakerun.bundles.job_specs import check_settings
from lakerun.errors import SettingsError
from lakerun.workspace.errors import invalid
from lakerun.workspace.store import Document


def checked_settings(settings: Document, at: str = "") -> Document:
    """The settings with Databricks' defaults; INVALID_PARAMETER_VALUE names the invalid field."""
    try:
        job = check_settings(settings, at)
    except SettingsError as error:
        field = re.sub(r"\[(\d+)\]", r".\1", error.field)  # as in all answers of the API
        raise invalid(f"{field}: {error.problem.rstrip('.')}.") from None
    kept = {"email_notifications": {}, "webhook_notifications": {}, "format": "MULTI_TASK", **settings}
    kept |= {
        "name": job.name,
        "max_concurrent_runs": job.max_concurrent_runs,
        "timeout_seconds": job.timeout_seconds,
    }
    kept["tasks"] = [_with_defaults(task) for task in settings.get("tasks") or []]
    return kept


def _with_defaults(task: Document) -> Document:
    kept = {"run_if": "ALL_SUCCESS", "timeout_seconds": 0, "email_notifications": {}, **task}
    for kind in ("notebook_task", "spark_python_task"):
        if kept.get(kind) is not None:
            kept[kind] = {"source": "WORKSPACE", **kept[kind]}
    return kept
