# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: monitoring and observability
# MAGIC
# MAGIC - The API's answers: success rate and response time, of every attempt.
# MAGIC - What was done: people identified, events tracked, messages rejected.
# MAGIC - The log of requests as a table, and what it says over time.
# MAGIC - An alert on an anomaly, on a stream of requests.
# MAGIC
# MAGIC Nothing here holds a person or a key: an attempt is an endpoint, counts, bytes, a status and a time.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
from dataclasses import fields
from decimal import Decimal

from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.activation.customerio.calls import Attempt
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.observability import ObservabilityManager
from ecommerce_lakehouse.activation.managers.people import PeopleManager
from ecommerce_lakehouse.activation.managers.semantic import EcommerceManager
from ecommerce_lakehouse.activation.notebooks import as_table, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC An `Attempt` is one request and its answer. A call that is tried three times is three attempts, so the
# MAGIC success rate of attempts is lower than that of calls: it shows trouble before anything is lost.

# COMMAND ----------

print(", ".join(field.name for field in fields(Attempt)))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager
# MAGIC `ObservabilityManager` is made before the client, which tells it of each attempt. Managers that are
# MAGIC given its `metrics` are counted with it. It keeps the last 10,000 attempts for the log of requests and
# MAGIC says how many more there were.

# COMMAND ----------

seen = ObservabilityManager()
client = Client(setup.settings, observe=seen.observe)
people = PeopleManager(client, metrics=seen.metrics)
shop = EcommerceManager(client, metrics=seen.metrics)
batch = BatchManager(client, metrics=seen.metrics)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### Something to look at

# COMMAND ----------

people.identify("example-ann", {"plan": "gold"})
shop.product_viewed({"product_id": "p-7", "price": Decimal("19.90")}, user_id="example-ann")
rows = [{"type": "identify", "userId": f"example-{n}", "traits": {"visits": n}} for n in range(1, 4)]
batch.send([*rows, {"type": "identify", "traits": {"visits": 0}}])

# COMMAND ----------

# MAGIC %md
# MAGIC ### What was done

# COMMAND ----------

found = seen.get_metrics()
for manager, calls in found["calls"].items():
    display(metrics_table({"manager": manager, "calls": calls}))

# COMMAND ----------

# MAGIC %md
# MAGIC ### How the API answered, against targets
# MAGIC These are checks like those of `lakehouse health`: a figure, its target, a verdict.

# COMMAND ----------

checks = seen.health(success_percent=99, mean_ms=2_000)
display(as_table(checks, "name", "figure", "target", "unit", "verdict"))

# COMMAND ----------

# MAGIC %md
# MAGIC ### For Prometheus or OpenTelemetry
# MAGIC The text that a collector reads. Serve it under `/metrics`, or write it to a file for the node
# MAGIC exporter.

# COMMAND ----------

print("\n".join(line for line in seen.prometheus_text().splitlines() if "_messages_total" in line))

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch: the log of requests as a table
# MAGIC Syncs write theirs into `activation_requests`. `drain` gives those of this client, once.

# COMMAND ----------

log = f"{setup.config.catalog}.{setup.config.schema}.activation_requests"
columns = (
    "endpoint string, messages int, sent_bytes int, status int, error string, seconds double, at timestamp"
)
names = [column.split()[0] for column in columns.split(", ")]
attempts = [tuple(attempt[name] for name in names) for attempt in seen.drain()]
requests = spark.createDataFrame(attempts, columns)
if spark.catalog.tableExists(log):
    requests = requests.union(spark.table(log).select(*names))
answered = F.coalesce(F.col("status") == 200, F.lit(False))
by_endpoint = requests.groupBy("endpoint").agg(
    F.count("*").alias("attempts"),
    F.sum("messages").alias("messages"),
    F.round(100 * F.avg(answered.cast("int")), 1).alias("success_percent"),
    F.round(1000 * F.percentile("seconds", 0.5)).alias("median_ms"),
    F.round(1000 * F.percentile("seconds", 0.95)).alias("p95_ms"),
)
display(by_endpoint.orderBy("endpoint"))

# COMMAND ----------

# MAGIC %md
# MAGIC ### Streaming: an alert on an anomaly
# MAGIC A micro-batch with too many failures is an alert; one with too few requests says nothing. The alert
# MAGIC here is a line. In production the health check of the lakehouse reads the same tables, and its webhook
# MAGIC gets one message when a check starts to fail and one when it recovers.

# COMMAND ----------

LEAST_REQUESTS, MOST_FAILED = 10, 0.05
alerts = []


def watch(rows, batch_id):
    total, failed = rows.selectExpr("count(*)", "count_if(NOT (status <=> 200))").first()
    if total >= LEAST_REQUESTS and failed / total > MOST_FAILED:
        alerts.append(f"micro-batch {batch_id}: {failed} of {total} requests failed")


bad = [{"endpoint": "batch", "status": 503 if number % 4 == 0 else 200} for number in range(20)]
folder, checkpoint = setup.arrive("requests_log", bad)
query = (
    spark.readStream.schema("endpoint string, status int")
    .json(folder)
    .writeStream.foreachBatch(watch)
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
print(alerts)
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **ObservabilityManager**: metrics of all managers and of each attempt, for people, for tables, for
# MAGIC   Prometheus.
# MAGIC - **Health**: success rate and response time against targets, with a verdict.
# MAGIC - **Alerts**: on a stream here; in production by `lakehouse health` and its webhook.
# MAGIC - Traces: a run's `run_id` stands in every table of activation, and joins a request to its run, its
# MAGIC   receipts and its rejected rows.
