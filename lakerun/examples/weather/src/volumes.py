"""Where the files of a volume are."""

import os
from pathlib import Path


def volume_folder(volume: str) -> Path:
    """The folder of `catalog/schema/volume`: below `/Volumes` on Databricks, in the data folder here."""
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        return Path("/Volumes", volume)
    home = Path(os.environ.get("LAKEHOUSE_HOME") or ".lakehouse").absolute()
    return home / "volumes" / volume
