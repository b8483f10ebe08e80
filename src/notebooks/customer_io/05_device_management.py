# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: devices
# MAGIC
# MAGIC - Push tokens of people: registered, updated, deleted.
# MAGIC - Many devices at once, and why that takes a call each unless you decide otherwise.
# MAGIC - Devices as they are used, as a stream.
# MAGIC
# MAGIC Only customers who granted the channel `push` are sent.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.devices import DeviceManager, registration
from ecommerce_lakehouse.activation.notebooks import SendRows, event_reference, message_id, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC A device is an event with an exact name, and the device itself stands in the event's context:

# COMMAND ----------

display(event_reference(registry.DEVICE_CREATED_OR_UPDATED, registry.DEVICE_DELETED))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager

# COMMAND ----------

client = Client(setup.settings)
devices = DeviceManager(client)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### One device
# MAGIC The push service gives an app a new token now and then. Register the new one and delete the old one,
# MAGIC or the person gets nothing, and the old token counts as a bounce.

# COMMAND ----------

devices.register("example-ann", "example-token-1", "ios", {"app_version": "3.1"})
devices.register("example-ann", "example-token-2", "ios", {"app_version": "3.2"})
devices.delete("example-ann", "example-token-1", "ios")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch: devices of the lakehouse

# COMMAND ----------

invented = [
    ("example-token-3", "example-101", "android", "3.2"),
    ("example-token-4", "example-102", "ios", "3.0"),
    ("example-token-5", "example-102", "android", "3.2"),
]
columns = "token string, customer_id string, platform string, app_version string"
rows = setup.people(spark, ("silver", "push_devices"), columns, invented, channel="push")


def device(row):
    return registration(
        row["customer_id"],
        row["token"],
        row["platform"],
        {"app_version": row["app_version"]},
        message_id=message_id("device", *row.values()),
    )


batch = BatchManager(client)
messages = [device(row.asDict()) for row in rows.toLocalIterator()]
print("a call each:", batch.size(messages))
print("in batches: ", batch.size(messages, own_context="batch"))

# COMMAND ----------

# MAGIC %md
# MAGIC The documentation says that the context of a batch applies to all its calls. So by default a message
# MAGIC with a context of its own, and every device has one, goes by itself. Customer.io's own clients do put
# MAGIC such messages into batches, and the API takes it. With many devices that is worth it: 3,000 calls in 3
# MAGIC s is the limit.

# COMMAND ----------

summary = batch.send(messages, own_context="batch")
print(dict(summary.outcomes), "in", summary.deliveries, "call")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Streaming: devices as they are used

# COMMAND ----------

used = [{"token": "example-token-6", "customer_id": "example-103", "platform": "ios", "app_version": "3.2"}]
folder, checkpoint = setup.arrive("devices", used)
query = (
    spark.readStream.schema(columns)
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, device))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
display(metrics_table(devices.get_metrics()))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **DeviceManager**: `register` and `delete`, each by the token.
# MAGIC - **registration, removal**: the same as messages, for batches and streams.
# MAGIC - **own_context**: as documented, or as Customer.io's own clients do; you decide.
