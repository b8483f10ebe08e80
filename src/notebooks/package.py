# Databricks notebook source
# MAGIC %md
# MAGIC # The project's package
# MAGIC Other notebooks make it importable with `%run ./package`.

# COMMAND ----------

import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

# For a notebook of a serverless job there is no environment in which the job installs the wheel.
if find_spec("ecommerce_lakehouse") is None:
    # This folder is `notebooks`, and a notebook in a folder of it includes this one too.
    here = Path.cwd()
    notebooks = next((folder for folder in (here, *here.parents) if folder.name == "notebooks"), here)
    sources = notebooks.parent  # of a notebook in a Git folder
    if not (sources / "ecommerce_lakehouse").is_dir():
        # The bundle deploys the wheel beside its files: <root>/files/src/notebooks, <root>/artifacts.
        wheels = (notebooks.parents[2] / "artifacts" / ".internal").glob("ecommerce_lakehouse-*.whl")
        wheel = max(wheels, key=lambda file: file.stat().st_mtime, default=None)
        if wheel is None:
            raise FileNotFoundError("The package is not deployed. Run: databricks bundle deploy")
        sources = Path(tempfile.mkdtemp(prefix="ecommerce_lakehouse-"))
        zipfile.ZipFile(wheel).extractall(sources)
    sys.path.append(str(sources))
