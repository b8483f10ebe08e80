"""The bundle's dashboards, from its resolved resources: `dashboard_specs`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakerun.bundles.model import DashboardSpec
from lakerun.bundles.sections import Section


def dashboard_specs(resources: Mapping[str, Any]) -> dict[str, DashboardSpec]:
    """Every dashboard that is a file, by key."""
    of_bundle = Section(resources, "resources").section("dashboards")
    specs = {}
    for key in of_bundle.values:
        section = of_bundle.section(key)
        mark = section.mark("file_path")
        if section.values.get("file_path") is None or mark is None:
            continue  # it is written in the bundle itself
        specs[key] = DashboardSpec(
            key=key,
            file=Path(os.path.normpath(mark.folder / section.text("file_path"))),
            location=str(mark),
            schema_is_given=section.values.get("dataset_schema") is not None,
        )
    return specs
