"""A plugin for tests, as an example of what a project can add to the workspace."""

from __future__ import annotations

from lakerun.plugins import Loaded, Plugin, Quarantine

PLUGIN = Plugin(
    name="guest",
    groups=("engineers",),
    catalogs=lambda: ("dev", "staging", "prod"),
    quarantine=Quarantine(prefix="quarantine_"),
)
GUEST = Loaded((PLUGIN,), ())
