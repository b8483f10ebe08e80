# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: people
# MAGIC
# MAGIC Adding people, setting and clearing what is known of them, joining two profiles:
# MAGIC - one person at a time;
# MAGIC - the customers of the lakehouse with their segments, as a batch;
# MAGIC - changed profiles as they arrive, as a stream.
# MAGIC
# MAGIC Only customers who granted the channel `email` are sent. Missing or unknown consent does not
# MAGIC count.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
from datetime import UTC, datetime

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.encoding import encode
from ecommerce_lakehouse.activation.customerio.models import Identify
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.people import PeopleManager
from ecommerce_lakehouse.activation.notebooks import SendRows, message_id, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC `Identify` is one call: who it is, and traits. Two rules are easy to forget:
# MAGIC - a trait that is left out **stays** as it is; only null clears it;
# MAGIC - the identifier is for ever. Take the customer's id, not the e-mail address: addresses change.

# COMMAND ----------

example = Identify(user_id="example-ann", traits={"plan": "gold", "city": None}, message_id="m-1")
print("fields:", ", ".join(Identify.model_fields))
print("sent:", encode(example).data.decode())

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager

# COMMAND ----------

client = Client(setup.settings)
people = PeopleManager(client)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### One person

# COMMAND ----------

born = datetime(2026, 5, 1, 12, tzinfo=UTC)
people.identify("example-ann", {"email": "ann@example.com", "plan": "gold", "city": "Lisbon"}, timestamp=born)
people.clear("example-ann", ["city"])

# COMMAND ----------

# MAGIC %md
# MAGIC ### A visitor becomes a customer
# MAGIC The call with both identifiers gives the person what the anonymous visitor did before.

# COMMAND ----------

people.identify(anonymous_id="example-visitor-7", traits={"landed_on": "/sale"})
people.identify("example-cleo", {"email": "cleo@example.com"}, anonymous_id="example-visitor-7")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Two profiles of one person
# MAGIC The first identifier is merged into the second, and this cannot be undone.

# COMMAND ----------

people.identify("example-cleo-old", {"plan": "silver"})
people.merge("example-cleo-old", "example-cleo")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch: customers and their segments

# COMMAND ----------

invented = [
    ("example-101", "Champions", "Active", 0.1),
    ("example-102", "At Risk", "At Risk", 0.7),
    ("example-103", "Prospect", "Prospect", 0.0),
]
columns = "customer_id string, rfm_segment string, lifecycle_stage string, churn_risk_score double"
segments = setup.people(spark, ("gold", "customer_segments"), columns, invented)


def segment(row):
    user = row.pop("customer_id")
    return Identify(user_id=user, traits=row, message_id=message_id("segment", user, *row.values()))


batch = BatchManager(client)
rows = [row.asDict() for row in segments.toLocalIterator()]
summary = batch.send(segment(row) for row in rows)
print(f"{len(rows)} customers: {dict(summary.outcomes)}")

# COMMAND ----------

# MAGIC %md
# MAGIC This sends every row each time it runs. To send only what has changed, and to know later what was
# MAGIC sent, declare a sync: notebook 10.
# MAGIC
# MAGIC ### Streaming: changed profiles as they arrive

# COMMAND ----------

changed = [
    {"customer_id": "example-101", "loyalty_tier": "gold", "updated_at": "2026-05-01T12:00:00Z"},
    {"customer_id": "example-104", "loyalty_tier": None, "updated_at": "2026-05-01T12:05:00Z"},
]


def profile(row):
    user, moment = row["customer_id"], row["updated_at"]
    traits = {"loyalty_tier": row["loyalty_tier"]}
    return Identify(
        user_id=user, traits=traits, timestamp=moment, message_id=message_id("profile", user, moment)
    )


folder, checkpoint = setup.arrive("profiles", changed)
query = (
    spark.readStream.schema("customer_id string, loyalty_tier string, updated_at string")
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, profile))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()

# COMMAND ----------

# MAGIC %md
# MAGIC ### Deleting
# MAGIC Deleting removes the profile, and the next `identify` with this id adds it again. To keep somebody
# MAGIC out, suppress them: notebook 08.

# COMMAND ----------

people.delete("example-cleo")
display(metrics_table(people.get_metrics()))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **PeopleManager**: `identify`, `clear`, `merge`, `delete`; each says what became of the call.
# MAGIC - **BatchManager**: any number of people, in as few calls as possible.
# MAGIC - **SendRows**: a stream whose micro-batch is done only when each message is settled.
