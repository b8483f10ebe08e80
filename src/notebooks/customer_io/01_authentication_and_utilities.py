# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: authentication and utilities
# MAGIC
# MAGIC How a call is authorized, tried again, limited and logged:
# MAGIC - the two kinds of keys, and where each is sent;
# MAGIC - what is tried again, for how long, and what is not;
# MAGIC - what a log shows of a call, and what it never shows;
# MAGIC - what is refused on this machine, before it costs a call.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
import logging
from dataclasses import fields

from pydantic import ValidationError

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.models import Identify, Track
from ecommerce_lakehouse.activation.managers.base import LOGGER
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.people import PeopleManager
from ecommerce_lakehouse.activation.managers.setup import AuthenticationManager
from ecommerce_lakehouse.activation.notebooks import SendRows, as_table, message_id, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC A newer key goes as `Bearer`, an older one by HTTP Basic as the user name with an empty password. The
# MAGIC header goes to one host only: a redirect is not followed.

# COMMAND ----------

client = Client(setup.settings)
authentication = AuthenticationManager(client)
display(as_table(list(authentication.describe().items()), "what", "value"))

# COMMAND ----------

# MAGIC %md
# MAGIC Retries: 408, 429, 5xx and lost connections, with the same bytes and the same messageId each time.
# MAGIC `Retry-After` is kept, in seconds or as a date, up to `retry_after_max`. After `breaker_failures`
# MAGIC failures in a row nothing is sent for `breaker_seconds`: what is refused then is still due, and no
# MAGIC second queue keeps it.

# COMMAND ----------

retries = [
    (one.name, str(getattr(setup.settings.retries, one.name))) for one in fields(setup.settings.retries)
]
breaker = [(name, str(getattr(setup.settings, name))) for name in ("breaker_failures", "breaker_seconds")]
display(as_table([*retries, *breaker], "setting", "value"))

# COMMAND ----------

limits = [(one.name, str(getattr(setup.settings.limits, one.name))) for one in fields(setup.settings.limits)]
display(as_table(limits, "limit", "value"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager
# MAGIC Every manager counts, times and logs its calls in the same way. Several may share one `Metrics`, and
# MAGIC any number of threads may use them. The log goes to Python's own logging, so that the application says
# MAGIC where to.

# COMMAND ----------


class Shown(logging.Handler):
    """Prints the log into the notebook."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.levelname, record.getMessage())


logger = logging.getLogger(LOGGER)
handler = Shown()
logger.addHandler(handler)
logger.setLevel(logging.INFO)
verification = authentication.verify("example-bob")
people = PeopleManager(client)
people.identify("example-bob", {"email": "bob@example.com"})
print("verified:", verification.verified)

# COMMAND ----------

# MAGIC %md
# MAGIC Both lines have the same `user_id`, and it is not `example-bob`: it is a hash under the API's key, so
# MAGIC the lines of one person can be found together, and nobody can turn the hash back by trying out
# MAGIC identifiers.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### What is refused here
# MAGIC The API of Customer.io takes many of these and loses them quietly. The models refuse them where the
# MAGIC data is.

# COMMAND ----------

wrong = {
    "NaN": lambda: Identify(user_id="example-bob", traits={"score": float("nan")}),
    "a timestamp without a zone": lambda: Track(
        user_id="example-bob", event="x", timestamp="2026-05-01T12:00:00"
    ),
    "nobody": lambda: Track(event="Quiz Finished"),
    "301 attributes": lambda: Identify(user_id="example-bob", traits={f"a{n}": n for n in range(301)}),
    "an empty event": lambda: Track(user_id="example-bob", event=" "),
}
for what, make in wrong.items():
    try:
        make()
    except ValidationError as error:
        print(f"{what}: {error.errors()[0]['msg']}")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch: many people in one call
# MAGIC `message_id` makes an id of what a message is about. A message that is sent again has the id that it
# MAGIC had before.

# COMMAND ----------

rows = [{"customer_id": f"example-{n}", "visits": n} for n in range(1, 4)]


def visits(row):
    user, seen = row["customer_id"], row["visits"]
    return Identify(user_id=user, traits={"visits": seen}, message_id=message_id("visits", user, seen))


batch = BatchManager(client)
summary = batch.send(visits(row) for row in rows)
print(dict(summary.outcomes), "in", summary.sent_bytes, "bytes")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Streaming: more people as they arrive
# MAGIC A micro-batch is done only when each of its messages is settled. If the API fails, the stream stops
# MAGIC and sends the whole micro-batch when it is started again, under the same ids.

# COMMAND ----------

more = [{"customer_id": f"example-{n}", "visits": n} for n in (4, 5)]
folder, checkpoint = setup.arrive("visits", more)
query = (
    spark.readStream.schema("customer_id string, visits int")
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, visits))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()

# COMMAND ----------

display(metrics_table(people.get_metrics()))
display(metrics_table(batch.get_metrics()))
logger.removeHandler(handler)
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **Key**: Bearer or Basic by its form, one host, no redirect, in no log.
# MAGIC - **Retries and breaker**: the client's own; managers and notebooks add none of theirs.
# MAGIC - **Outcomes**: accepted, rejected, failed, unknown or refused. Only the first two are final.
# MAGIC - **Log and metrics**: one line a call, with a hash for the person; counts by operation and outcome.
