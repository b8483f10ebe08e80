# Databricks notebook source
# MAGIC %md
# MAGIC # Start of every notebook in this folder
# MAGIC The others include it with `%run ./start`. It installs what the client needs, makes the project's
# MAGIC package importable, offers the widgets, and leaves `setup`: the settings of the lakehouse and of
# MAGIC Customer.io.
# MAGIC
# MAGIC The key comes from the environment variable `CUSTOMERIO_KEY`, else from the secret that the widgets
# MAGIC name. No notebook prints it.

# COMMAND ----------

# MAGIC %pip install "httpx2>=2.16" "orjson>=3.10" "pydantic>=2.8"
# MAGIC %pip install "pyyaml>=6.0" "structlog>=25.1" "tenacity>=9.0"

# COMMAND ----------

# MAGIC %run ../package

# COMMAND ----------

# ruff: noqa: F821
from ecommerce_lakehouse.activation.notebooks import start

setup = start(dbutils)
print(f"calls go to {setup.settings.host}, in {'strict' if setup.settings.strict else 'permissive'} mode")
