"""The parent of the Python processes in which Spark calls functions. They find `/Volumes` like tasks."""

from __future__ import annotations

import runpy

from lakerun.tables.storage import Storage
from lakerun.volumes.python import mounted

if __name__ == "__main__":
    with mounted(Storage.default()):
        runpy.run_module("pyspark.daemon", run_name="__main__")
