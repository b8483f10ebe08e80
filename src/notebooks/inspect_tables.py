# Databricks notebook source
# MAGIC %md
# MAGIC # Tables of one environment
# MAGIC Choose the environment in the widget above; the tables of its schema are listed with their rows.

# COMMAND ----------

# MAGIC %run ./package

# COMMAND ----------

# ruff: noqa: F821
from ecommerce_lakehouse.config import get_config, log_pipeline_config, widget_environment

config = get_config(widget_environment(dbutils))
log_pipeline_config(config)

# COMMAND ----------

dbutils.widgets.text("schema", config.schema, "Schema (a development deployment has a prefix)")
schema = f"{config.catalog}.{dbutils.widgets.get('schema')}"
tables = [row.tableName for row in spark.sql(f"SHOW TABLES IN {schema}").collect() if not row.isTemporary]
counts = [(name, spark.table(f"{schema}.{name}").count()) for name in sorted(tables)]
display(spark.createDataFrame(counts, "table string, rows bigint"))
