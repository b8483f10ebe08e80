# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: events and tracking
# MAGIC
# MAGIC What people did, in words of your own:
# MAGIC - events, page views and screens, of people and of visitors who are not known yet;
# MAGIC - events of the past, with their own time;
# MAGIC - sessions of the lakehouse, as a batch and as a stream.
# MAGIC
# MAGIC An event cannot be taken back. Choose its name, its time and its messageId before you send a million
# MAGIC of it.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
from datetime import UTC, datetime

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.models import Track
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.events import EventsManager
from ecommerce_lakehouse.activation.notebooks import SendRows, event_reference, message_id, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC `Track` takes any event name and any properties. `Page` and `Screen` are for views. Names that
# MAGIC Customer.io knows itself have fields that are checked; those of the shop are in notebook 07, and these
# MAGIC are about messages:

# COMMAND ----------

display(event_reference(EventsManager.report_delivery.event, EventsManager.report_content.event))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager

# COMMAND ----------

client = Client(setup.settings)
events = EventsManager(client)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### Events of a person and of a visitor

# COMMAND ----------

events.track("Quiz Finished", {"quiz": "spring", "score": 8}, user_id="example-ann")
events.track("Quiz Started", {"quiz": "spring"}, anonymous_id="example-visitor-9")
events.page("Sale", {"url": "https://shop.example.com/sale"}, anonymous_id="example-visitor-9")
events.screen("Cart", {"items": 2}, user_id="example-ann")

# COMMAND ----------

# MAGIC %md
# MAGIC ### An event of the past
# MAGIC Give the time at which it happened, with its zone. Without it the event happened when it arrived, and
# MAGIC a campaign that starts on it starts now.

# COMMAND ----------

finished = datetime(2026, 4, 30, 18, 30, tzinfo=UTC)
events.track(
    "Quiz Finished",
    {"quiz": "winter", "score": 5},
    user_id="example-ann",
    timestamp=finished,
    message_id=message_id("quiz", "example-ann", "winter"),
)

# COMMAND ----------

# MAGIC %md
# MAGIC The messageId is made of what the event is. Sent again after an unknown outcome, it is the same event.
# MAGIC The API does not document that it drops a repetition, so this does not promise that; it makes a
# MAGIC repetition possible to find.

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch: sessions of the lakehouse

# COMMAND ----------

invented = [
    ("s-1", "example-101", datetime(2026, 5, 1, 9, 0), 5, 1),
    ("s-2", "example-102", datetime(2026, 5, 1, 9, 5), 1, 0),
]
columns = "session_id string, customer_id string, session_timestamp timestamp, page_views int, cart_adds int"
sessions = setup.people(spark, ("silver", "customer_activity"), columns, invented)


def session(row):
    return Track(
        user_id=row["customer_id"],
        event="Session Ended",
        properties={name: row[name] for name in ("session_id", "page_views", "cart_adds")},
        timestamp=row["session_timestamp"],
        message_id=message_id("session", row["session_id"]),
    )


# A timestamp in Python has no zone; Spark's session has one, and this is its text.
texts = sessions.selectExpr(
    "* except (session_timestamp)",
    "date_format(session_timestamp, \"yyyy-MM-dd'T'HH:mm:ssXXX\") AS session_timestamp",
)
batch = BatchManager(client)
summary = batch.send(session(row.asDict()) for row in texts.toLocalIterator())
print(dict(summary.outcomes))

# COMMAND ----------

# MAGIC %md
# MAGIC ### Streaming: sessions as they arrive
# MAGIC A table of the lakehouse is streamed in the same way, by `spark.readStream.option("skipChangeCommits",
# MAGIC "true").table(...)`: silver tables are updated and rows of theirs are deleted, which a stream of
# MAGIC events must not see.

# COMMAND ----------

arrived = [
    {
        "session_id": "s-3",
        "customer_id": "example-101",
        "page_views": 3,
        "cart_adds": 0,
        "at": "2026-05-01T10:00:00Z",
    },
    {
        "session_id": "s-4",
        "customer_id": "example-103",
        "page_views": 9,
        "cart_adds": 2,
        "at": "2026-05-01T10:01:00Z",
    },
]
folder, checkpoint = setup.arrive("sessions", arrived)
query = (
    spark.readStream.schema("session_id string, customer_id string, page_views int, cart_adds int, at string")
    .json(folder)
    .withColumnRenamed("at", "session_timestamp")
    .writeStream.foreachBatch(SendRows(setup.settings, session))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
display(metrics_table(events.get_metrics()))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **EventsManager**: `track`, `page`, `screen`, and reports of deliveries and experiments.
# MAGIC - **Time**: an event's own timestamp, with a zone; one without a zone is refused.
# MAGIC - **messageId**: made of what the event is, so that sending again is the same event.
