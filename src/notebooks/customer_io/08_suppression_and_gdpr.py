# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: suppression and the GDPR
# MAGIC
# MAGIC Somebody writes: "Delete everything that you have about me, and do not write to me again." This
# MAGIC notebook shows what to call, in which order, and what remains to be done elsewhere.
# MAGIC
# MAGIC | What the person wants | What to do here | What it does not do |
# MAGIC |---|---|---|
# MAGIC | no more e-mails | withdraw their consent in the shop | delete anything |
# MAGIC | to be gone, and may come back | `PeopleManager.delete` | stop the next `identify` from adding them |
# MAGIC | to be gone and stay gone | `SuppressionManager.erase` | reach the lakehouse |
# MAGIC | to come back | `SuppressionManager.unsuppress` | bring their data back |
# MAGIC
# MAGIC ### Three mistakes
# MAGIC - **Deleting alone.** A stream that still has a row of the person adds them again a second later.
# MAGIC   Suppress first: then whatever is under way is refused.
# MAGIC - **Believing a 200.** In permissive mode the API answers 200 to a wrong key as well. Only a verified
# MAGIC   answer may be written into the record of the request.
# MAGIC - **Forgetting the source.** If the lakehouse keeps the row, the next full refresh sends it again.
# MAGIC   Erase there too.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.builders import track
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.outcomes import Accepted
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.people import PeopleManager, SuppressionManager
from ecommerce_lakehouse.activation.notebooks import (
    SendRows,
    as_table,
    event_reference,
    message_id,
    metrics_table,
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC Each of these is an event with an exact name. Only a `userId` can say whom it is about, so keep the
# MAGIC identifier of the request until all is done.

# COMMAND ----------

display(event_reference(registry.USER_SUPPRESSED, registry.USER_DELETED, registry.USER_UNSUPPRESSED))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager

# COMMAND ----------

client = Client(setup.settings)
people, suppression = PeopleManager(client), SuppressionManager(client)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### One request
# MAGIC `erase` suppresses and then deletes. If the suppression is not accepted, nothing is deleted, and the
# MAGIC request is still open: run the cell again.

# COMMAND ----------

people.identify("example-dora", {"email": "dora@example.com"})
erasure = suppression.erase("example-dora")
print("suppressed:", erasure.suppressed)
print("deleted:   ", erasure.deleted)
print("done in Customer.io" if erasure.verified else "not verified: the request is still open")

# COMMAND ----------

# MAGIC %md
# MAGIC ### She comes back
# MAGIC Her identifier is taken again, and she starts with nothing.

# COMMAND ----------

suppression.unsuppress("example-dora")
people.identify("example-dora", {"email": "dora@example.com"})

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch: many requests
# MAGIC All suppressions go before all deletions, in two batches. A client whose `concurrency` is 1, as here,
# MAGIC sends one after the other. Only those whose suppression was accepted are deleted.

# COMMAND ----------

asked = ["example-201", "example-202", "example-203"]
batch = BatchManager(client)
accepted = set()


def keep(delivery):
    if isinstance(delivery.outcome, Accepted):
        accepted.update(delivery.positions)


suppressed = batch.send(
    (
        track(registry.USER_SUPPRESSED, user_id=user, message_id=message_id("suppress", user))
        for user in asked
    ),
    on_delivery=keep,
)
gone = [user for place, user in enumerate(asked) if place in accepted]
deleted = batch.send(
    track(registry.USER_DELETED, user_id=user, message_id=message_id("delete", user)) for user in gone
)
print("suppressed:", dict(suppressed.outcomes), "deleted:", dict(deleted.outcomes))

# COMMAND ----------

# MAGIC %md
# MAGIC ### Streaming: requests as they arrive
# MAGIC A stream of withdrawals must not stop at a row that Customer.io does not take, such as one without an
# MAGIC identifier: the people behind it wait. So such rows are skipped here; look for them, because they are
# MAGIC requests too.

# COMMAND ----------

requests = [{"customer_id": "example-204"}, {"customer_id": None}, {"customer_id": "example-205"}]


def withdrawal(row):
    user = row["customer_id"]
    return track(registry.USER_SUPPRESSED, user_id=user, message_id=message_id("suppress", user))


folder, checkpoint = setup.arrive("requests", requests)
query = (
    spark.readStream.schema("customer_id string")
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, withdrawal, rejected="skip"))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
nobody = [row for row in requests if not row["customer_id"]]
print(f"{len(nobody)} request without an identifier")

# COMMAND ----------

# MAGIC %md
# MAGIC ### What the notebooks invented
# MAGIC These people were made by this folder's notebooks. Here they are deleted, not suppressed, so that the
# MAGIC notebooks can be run again.

# COMMAND ----------

names = ["setup", "ann", "bob", "cleo", "dora", "1", "2", "3", "4", "5"]
invented = [f"example-{name}" for name in [*names, *map(str, range(101, 105))]]
summary = batch.send(track(registry.USER_DELETED, user_id=user) for user in invented)
print(dict(summary.outcomes))
display(metrics_table(suppression.get_metrics()))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ### Where else the person is

# COMMAND ----------

elsewhere = [
    ("the lakehouse, with its history, quarantine and raw files", "lakehouse privacy erase --customer ID"),
    ("messages that are already scheduled in Customer.io", "end there with the suppression"),
    ("other destinations of the Data Pipelines source", "each has its own deletion; the event is not one"),
    ("exports that somebody downloaded", "ask who has them"),
]
display(as_table(elsewhere, "where", "what to do"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **SuppressionManager**: `suppress`, `unsuppress`, and `erase`, which keeps the order.
# MAGIC - **Verified**: only strict mode's answer counts as done.
# MAGIC - **Consent**: the other notebooks and every sync read only people who granted the channel; missing
# MAGIC   consent is none.
# MAGIC - **The log** has a hash in place of the identifier, so a request leaves no readable trace of the
# MAGIC   person.
