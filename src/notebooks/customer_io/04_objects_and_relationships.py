# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: objects, relationships and messaging
# MAGIC
# MAGIC - Objects that people belong to: here the households of the shop's customers.
# MAGIC - Relationships, with attributes of their own, such as the role in a household.
# MAGIC - Messages to a person by the App API, which has another host and another key.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
import os

from ecommerce_lakehouse.activation.customerio.app import AppClient, Broadcast, Recipient, TransactionalEmail
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.encoding import encode
from ecommerce_lakehouse.activation.customerio.models import Group
from ecommerce_lakehouse.activation.customerio.settings import Settings
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.messaging import MessagingManager
from ecommerce_lakehouse.activation.managers.objects import ObjectsManager
from ecommerce_lakehouse.activation.notebooks import SendRows, message_id, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC A `Group` without a person adds an object; with a person it adds their relationship too. The object's
# MAGIC type is a number that Customer.io shows beside the type, under "Objects". Its documentation has it as
# MAGIC a number in some places and as a text in others; both are taken, and the text is sent.

# COMMAND ----------

HOUSEHOLD = 1
member = Group(
    group_id="example-h1",
    user_id="example-ann",
    traits={"object_type_id": HOUSEHOLD, "relationshipAttributes": {"role": "owner"}},
    message_id="m-1",
)
print(encode(member).data.decode())

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager

# COMMAND ----------

client = Client(setup.settings)
objects = ObjectsManager(client)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### A household comes, changes and goes

# COMMAND ----------

objects.put("example-h1", {"name": "Harbour Street 3", "country": "PT"}, object_type=HOUSEHOLD)
objects.relate("example-ann", "example-h1", {"role": "owner"}, object_type=HOUSEHOLD)
objects.relate("example-bob", "example-h1", {"role": "adult"}, object_type=HOUSEHOLD)
objects.unrelate("example-bob", "example-h1", object_type=HOUSEHOLD)
objects.put("example-h2", {"name": "Empty"}, object_type=HOUSEHOLD)
objects.delete("example-h2", object_type=HOUSEHOLD)

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch: who lives together

# COMMAND ----------

invented = [
    ("example-h3", "example-101", "Mill Lane 8", "owner"),
    ("example-h3", "example-102", "Mill Lane 8", "adult"),
]
columns = "household_id string, customer_id string, household_name string, role string"
members = setup.people(spark, ("gold", "household_members"), columns, invented)


def relationship(row):
    return Group(
        group_id=row["household_id"],
        user_id=row["customer_id"],
        traits={
            "object_type_id": HOUSEHOLD,
            "name": row["household_name"],
            "relationshipAttributes": {"role": row["role"]},
        },
        message_id=message_id("member", *row.values()),
    )


batch = BatchManager(client)
summary = batch.send(relationship(row.asDict()) for row in members.toLocalIterator())
print(dict(summary.outcomes))

# COMMAND ----------

# MAGIC %md
# MAGIC ### Streaming: people who move in

# COMMAND ----------

moved = [
    {
        "household_id": "example-h3",
        "customer_id": "example-104",
        "household_name": "Mill Lane 8",
        "role": "child",
    }
]
folder, checkpoint = setup.arrive("members", moved)
query = (
    spark.readStream.schema(columns)
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, relationship))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
display(metrics_table(objects.get_metrics()))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ### Messaging: a receipt and a broadcast
# MAGIC The App API has a key of its own: the variable `CUSTOMERIO_APP_KEY`, or the secret
# MAGIC `customerio_app_key`. It cannot recognize a call that is repeated, so only what cannot have been
# MAGIC carried out is tried again. For the rest `send_email` raises a `DeliveryError` whose `unknown` is
# MAGIC True, and you decide: two receipts, or none.

# COMMAND ----------

app_key = os.environ.get("CUSTOMERIO_APP_KEY")
if not app_key:
    try:
        app_key = dbutils.secrets.get(dbutils.widgets.get("secret_scope"), "customerio_app_key")
    except Exception:
        print("There is no key of the App API: nothing is sent to people.")

# COMMAND ----------

if app_key:
    app_settings = Settings.of_app(
        app_key, setup.settings.region, base_url=os.environ.get("CUSTOMERIO_BASE_URL")
    )
    with AppClient(app_settings) as app:
        messaging = MessagingManager(app)
        receipt = TransactionalEmail(
            to="ann@example.com",
            identifiers=Recipient(id="example-ann"),
            transactional_message_id="receipt",
            message_data={"order": "example-o-1"},
        )
        print("delivery:", messaging.send_email(receipt))
        print("broadcast:", messaging.trigger_broadcast(1, Broadcast(ids=["example-ann"])))
        display(metrics_table(messaging.get_metrics()))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **ObjectsManager**: `put`, `relate`, `unrelate`, `delete`.
# MAGIC - **Relationships**: attributes of the relationship stay apart from those of the object.
# MAGIC - **MessagingManager**: e-mail to one person and broadcasts, never sent twice by itself.
