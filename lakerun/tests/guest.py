"""A plugin of the tests' own: what a project may add to the workspace, by example."""

from __future__ import annotations

from lakerun.plugins import Loaded, Plugin, Quarantine

PLUGIN = Plugin(
    name="guest",
    groups=("engineers",),
    catalogs=lambda: ("dev", "staging", "prod"),
    quarantine=Quarantine(prefix="quarantine_"),
)
GUEST = Loaded((PLUGIN,), ())
