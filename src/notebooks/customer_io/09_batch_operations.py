# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: batch operations
# MAGIC
# MAGIC - How messages become calls of at most 500,000 bytes, exact to the byte.
# MAGIC - What happens to one bad row among good ones, and to one that is too long.
# MAGIC - What is due again after a failure, and how it is sent again.
# MAGIC - How fast it is.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
import time

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.outcomes import Accepted, Rejected
from ecommerce_lakehouse.activation.customerio.packing import Batch, pack
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.notebooks import SendRows, as_table, message_id, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC A message is a model, or a dict in the API's names. Every message is in exactly one delivery, and a
# MAGIC delivery has one outcome. Only the first two are final:

# COMMAND ----------

outcomes = [
    ("Accepted", "the API answered 200; verified in strict mode only", "store that it was sent"),
    ("Rejected", "the API does not take it, or it cannot be sent", "correct the row"),
    ("Failed", "no attempt can have been carried out", "send it again"),
    ("Unknown", "an answer was lost: it may have arrived", "send it again, under the same messageId"),
    ("Refused", "the server failed too often, nothing was sent", "send it again later"),
]
display(as_table(outcomes, "outcome", "what it means", "what to do"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager

# COMMAND ----------

client = Client(setup.settings)
batch = BatchManager(client)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### What it would take
# MAGIC `size` packs without sending. A name with an accent has more bytes than letters, and the bytes count.

# COMMAND ----------


def scored(number, score):
    user = f"example-b{number}"
    return {
        "type": "identify",
        "userId": user,
        "messageId": message_id("score", user, score),
        "traits": {"score": score, "city": "S\u00e3o Paulo"},
    }


print(batch.size(scored(number, 1) for number in range(10_000)))
largest = max(
    len(item.body())
    for item in pack((scored(n, 1) for n in range(10_000)), setup.settings.limits)
    if isinstance(item, Batch)
)
print("the largest call:", largest, "bytes of", setup.settings.limits.batch_bytes)

# COMMAND ----------

# MAGIC %md
# MAGIC ### One bad row, and one that is too long
# MAGIC In strict mode the API refuses a whole batch for one bad message and does not say which. The batch is
# MAGIC halved until only the bad row is rejected. Most bad rows do not get that far: the models find them
# MAGIC here. The place in the input comes back with the reason, so that the row can be found.

# COMMAND ----------

rows = [scored(number, 2) for number in range(8)]
rows[3] = {"type": "identify", "messageId": message_id("nobody"), "traits": {"score": 2}}
rows[5] = {**rows[5], "traits": {f"note{number}": "x" * 990 for number in range(40)}}
summary = batch.send(rows)
print(dict(summary.outcomes))
display(as_table(summary.rejected, "place", "reason"))

# COMMAND ----------

# MAGIC %md
# MAGIC ### What is due again
# MAGIC `on_delivery` hears of each outcome as it comes. Store what is final, and send the rest again under
# MAGIC the same ids. That is all that a retry queue would do, without a second place that can lose something.

# COMMAND ----------

due = [scored(number, 3) for number in range(20)]
for _ in range(3):
    left = []

    def keep(delivery, sent=due, left=left):
        if not isinstance(delivery.outcome, Accepted | Rejected):
            left.extend(sent[place] for place in delivery.positions)

    batch.send(due, on_delivery=keep)
    due = left
    if not due:
        break
print(f"{len(due)} of 20 are still due")

# COMMAND ----------

# MAGIC %md
# MAGIC ### How fast
# MAGIC Dicts that Spark or a program of yours made well can go as they are: `validate=False` saves two thirds
# MAGIC of the work. Rows are read no faster than they are sent, so a million of them need no more memory than
# MAGIC a thousand.

# COMMAND ----------

begun = time.monotonic()
summary = batch.send((scored(number, 4) for number in range(2_000)), validate=False)
took = time.monotonic() - begun
print(f"{summary.outcomes.total()} messages in {summary.deliveries} calls, {summary.sent_bytes:,} bytes")
print(f"{summary.outcomes.total() / took:,.0f} messages a second")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Streaming: a micro-batch is a batch

# COMMAND ----------

arrived = [{"number": number, "score": 5} for number in range(3)]
folder, checkpoint = setup.arrive("scores", arrived)
query = (
    spark.readStream.schema("number int, score int")
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, lambda row: scored(row["number"], row["score"])))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
display(metrics_table(batch.get_metrics()))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **pack**: batches exact to the byte; a message that is too long never stops the others.
# MAGIC - **BatchManager**: `send` says what became of each message, `size` what it would take.
# MAGIC - **Due**: failed, unknown and refused messages are sent again under the same messageId.
# MAGIC - For a table that changes, notebook 10 keeps what was accepted, and sends only the difference.
