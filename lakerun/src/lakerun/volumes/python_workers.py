"""The parent of the Python processes in which Spark calls functions: they find `/Volumes` as tasks do."""

from __future__ import annotations

import runpy

from lakerun.tables.storage import Storage
from lakerun.volumes.python import mounted

if __name__ == "__main__":
    with mounted(Storage.default()):
        runpy.run_module("pyspark.daemon", run_name="__main__")
