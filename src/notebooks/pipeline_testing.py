# Databricks notebook source
# MAGIC %md
# MAGIC # Pipeline testing
# MAGIC Checks the tables of one environment after a run, and fails if a check fails:
# MAGIC
# MAGIC - every line of bronze is in silver, in quarantine or among the duplicates;
# MAGIC - no key is NULL or repeated, and each quarantined line has a reason;
# MAGIC - the newest update of every pipeline completed, and its datasets are fresh.

# COMMAND ----------

# MAGIC %run ./package

# COMMAND ----------

# ruff: noqa: F821
import json

from ecommerce_lakehouse.config import get_config, log_pipeline_config, widget_environment
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
from ecommerce_lakehouse.observability.pipeline_checks import check_pipelines

config = get_config(widget_environment(dbutils))
dbutils.widgets.text("catalog", config.catalog, "Catalog")
dbutils.widgets.text("schema", config.schema, "Schema (a development deployment has a prefix)")
place = {name: dbutils.widgets.get(name) for name in ("catalog", "schema")}
config = config.model_copy(update=place)
log_pipeline_config(config)

# COMMAND ----------

# MAGIC %md ## Checks

# COMMAND ----------

lakehouse = lakehouse_of(config)
tables = {table.name: table.reference for table in lakehouse.tables()}
report = check_pipelines(lakehouse.rows, tables, config)
columns = "passed boolean, name string, subject string, figure string, expected string"
rows = [(c.passed, c.name, c.subject, c.figure, c.expected) for c in report.checks]
display(spark.createDataFrame(sorted(rows), columns))

# COMMAND ----------

# MAGIC %md ## Counts of the expectations

# COMMAND ----------

columns = (
    "pipeline_name string, dataset_name string, expectation_name string, "
    "passed_records bigint, failed_records bigint"
)
display(spark.createDataFrame([tuple(row.values()) for row in report.expectations], columns))

# COMMAND ----------

# MAGIC %md ## Sample rows

# COMMAND ----------

for name, reference in tables.items():
    if name in ("silver_orders", "gold_daily_sales", "quarantine_orders"):
        print(name)
        display(spark.sql(f"SELECT * FROM {reference} LIMIT 5"))

# COMMAND ----------

if report.failed:
    raise AssertionError(
        "; ".join(f"{c.name} of {c.subject}: {c.figure}, not {c.expected}" for c in report.failed)
    )
dbutils.notebook.exit(json.dumps(report.as_json()))
