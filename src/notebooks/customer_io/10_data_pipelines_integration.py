# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: data pipelines integration
# MAGIC
# MAGIC The tables change every night, and Customer.io should know what changed: each change once, none lost,
# MAGIC nothing sent again because a row was touched. That is a **sync**: a file of a few lines that names a
# MAGIC table, its key, and what to send. This notebook declares one of its own and goes through its life in
# MAGIC small steps:
# MAGIC
# MAGIC 1. plan, which sends nothing, and run;
# MAGIC 2. what a second run sends, and what a change sends;
# MAGIC 3. a plan that is saved, looked at, and carried out only if it still holds;
# MAGIC 4. a row that cannot be sent;
# MAGIC 5. the same for a stream;
# MAGIC 6. rows that are gone, and the guard before deletions;
# MAGIC 7. where to look afterwards.
# MAGIC
# MAGIC ### Why not send the table every night?
# MAGIC - **It is slow and it counts.** A million people whose data did not change are a million calls of your
# MAGIC   limit.
# MAGIC - **A timestamp does not say what changed.** Views are computed again as a whole, so `updated_at >
# MAGIC   yesterday` finds everything or nothing. A sync compares the content of each row with what was
# MAGIC   accepted for it.
# MAGIC - **After a failure nobody knows what arrived.** A sync stores a row's fingerprint only when its call
# MAGIC   was accepted. What was not is still due, and goes out under the same messageId.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
import json
import tempfile
import uuid
from pathlib import Path

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.notebooks import as_table
from ecommerce_lakehouse.activation.sync.declarations import load_syncs
from ecommerce_lakehouse.activation.sync.plan import (
    DeleteGuardError,
    PlanError,
    PlanFile,
    make_plan,
    plan_file,
)
from ecommerce_lakehouse.activation.sync.run import run_sync
from ecommerce_lakehouse.activation.sync.status import statuses
from ecommerce_lakehouse.activation.sync.stream import stream_sync
from ecommerce_lakehouse.activation.sync.tables import RUNS, SyncTables
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC The product's own syncs are the files in `activation/syncs`. `consent` keeps everybody out who did not
# MAGIC grant that channel, and a person whose consent is unknown did not.

# COMMAND ----------

syncs = load_syncs().values()
display(as_table(syncs, "name", "table", "call", "consent"))

# COMMAND ----------

# MAGIC %md
# MAGIC This notebook's own, for a table that it makes. The names under `traits` are what Customer.io gets,
# MAGIC and behind each stands a column or a SQL expression. Leave out columns that change every day by
# MAGIC themselves, such as days of inactivity: every person would be sent every day.

# COMMAND ----------

declaration = """
table: customerio_example
key: customer_id
call: identify
traits:
  city: city
  plan: upper(plan)
deletes: {max_percent: 50}
"""
folder = Path(tempfile.mkdtemp())
(folder / "customerio_example.yml").write_text(declaration, encoding="utf-8")
sync = load_syncs(folder)["customerio_example"]

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager
# MAGIC On Databricks the job `customerio_sync` runs all syncs, and `lakehouse activate plan`, `run`, `replay`
# MAGIC and `status` are the same by hand. Here the functions behind them are used, for one sync.

# COMMAND ----------

lakehouse = lakehouse_of(setup.config)
tables = SyncTables(spark, lakehouse)
EXAMPLE = lakehouse.reference("customerio_example")
settings = setup.settings


def connect(observe):
    return Client(settings, observe=observe)


def planned():
    plan = make_plan(spark, tables, sync).plan
    print(
        f"{plan.insert} new, {plan.update} changed, {plan.delete} gone, {plan.unchanged} unchanged,", end=" "
    )
    print(f"{plan.refused} cannot be sent {plan.reasons or ''}")
    return plan


def run(**options):
    result = run_sync(spark, tables, sync, connect, **options)
    print(f"{result.inserts} inserted, {result.updates} updated, {result.deletes} deleted,", end=" ")
    print(f"{result.due} still due {result.reasons or ''}")
    return result


def write(rows):
    frame = spark.createDataFrame(rows, "customer_id string, city string, plan string").coalesce(1)
    frame.write.format("delta").mode("overwrite").saveAsTable(EXAMPLE)


# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### 1. Plan, then run
# MAGIC A plan counts what would be sent and shows a message of each kind, with one character of each text.
# MAGIC Look at it before the first run: a wrong mapping is cheap now.

# COMMAND ----------

write([("example-301", "Lisbon", "gold"), ("example-302", "Porto", "basic"), ("example-303", None, "basic")])
plan = planned()
print(json.dumps(plan.sample, indent=2))

# COMMAND ----------

run()

# COMMAND ----------

# MAGIC %md
# MAGIC ### 2. A second run, and a change
# MAGIC The second run sends nothing: nothing changed. Then one person moves, and one is new. Nobody else is
# MAGIC due.

# COMMAND ----------

run()
rows = [
    ("example-301", "Faro", "gold"),
    ("example-302", "Porto", "basic"),
    ("example-303", None, "basic"),
    ("example-304", "Braga", "gold"),
]
write(rows)
file = folder / "monday.json"
plan_file(setup.config, [planned()]).save(file)

# COMMAND ----------

# MAGIC %md
# MAGIC ### 3. A plan that is saved
# MAGIC Somebody looks at the plan before it is carried out. If a table changes in between, it is refused:
# MAGIC what was looked at is not what would be sent.

# COMMAND ----------

rows[1] = ("example-302", "Porto", "silver")
write(rows)
try:
    run(saved=PlanFile.load(file).syncs[0])
except PlanError as error:
    print(error)

# COMMAND ----------

plan_file(setup.config, [planned()]).save(file)
run(saved=PlanFile.load(file).syncs[0])

# COMMAND ----------

# MAGIC %md
# MAGIC ### 4. Rows that cannot be sent
# MAGIC One has no key, and one has a value that is longer than Customer.io takes. Each is kept with its
# MAGIC reason, once, and stops nobody else. Correct the row, and the next run sends it. If the row was right
# MAGIC and Customer.io was not, for example because an attribute's type was wrong there, `replay` sends it
# MAGIC again as it is.

# COMMAND ----------

write([*rows, ("example-305", "x" * 1_001, "basic"), (None, "Evora", "basic")])
run()

# COMMAND ----------

# MAGIC %md
# MAGIC ### 5. Streaming
# MAGIC The table's change data feed says which keys changed, and only those are compared, with the same state
# MAGIC and the same receipts as in a run. So a micro-batch that is repeated sends nothing twice, and one that
# MAGIC leaves something due fails the stream, which repeats it when it is started again. With `every="10
# MAGIC seconds"` it goes on; here it ends when it has seen everything. A view that is computed again as a
# MAGIC whole has no such feed: run it.

# COMMAND ----------

spark.sql(f"ALTER TABLE {EXAMPLE} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
write([*rows, ("example-306", "Lagos", "gold")])
checkpoint = f"{setup.config.folder_path('customer_io_examples')}/sync/{uuid.uuid4()}"
stream_sync(spark, tables, sync, connect, checkpoint).awaitTermination()
runs = spark.table(tables.reference(RUNS)).where(f"sync = '{sync.name}'").orderBy("at", ascending=False)
print(runs.select("event", "inserts", "updates").first())

# COMMAND ----------

# MAGIC %md
# MAGIC ### 6. Rows that are gone
# MAGIC Deletions are off unless the declaration has `deletes`, because a table that is empty by mistake would
# MAGIC delete everybody. With it, a guard stops a run that would delete more than its share.

# COMMAND ----------

write([])
try:
    run()
except DeleteGuardError as error:
    print(error)

# COMMAND ----------

# MAGIC %md
# MAGIC This time it is meant: the example's people go again.

# COMMAND ----------

run(allow_deletes=True)
spark.sql(f"DROP TABLE {EXAMPLE}")

# COMMAND ----------

# MAGIC %md
# MAGIC ### 7. Where to look

# COMMAND ----------

(status,) = statuses(lakehouse, [sync.name])
print(f"Customer.io has {status['delivered']} rows; {status['rejected']} are rejected; last run: ", end="")
print(status["last_run"]["event"].lower())
looked = [
    ("activation_state", "what Customer.io has of each row: a fingerprint, not the data"),
    ("activation_receipts", "each accepted message, with its messageId and run"),
    ("activation_rejected", "each row that was not taken, with the reason"),
    ("activation_runs", "each run: what it sent, how long it took, why it ended"),
    ("activation_requests", "each request, without what was in it"),
]
display(as_table(looked, "table", "what it holds"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC | You want | Do |
# MAGIC |---|---|
# MAGIC | a new table in Customer.io | a file in `activation/syncs`, then `lakehouse validate` |
# MAGIC | to see what would be sent | `lakehouse activate plan` |
# MAGIC | to send it | `lakehouse activate run`, or the job `customerio_sync` |
# MAGIC | to know why a row is missing | `lakehouse activate status` |
# MAGIC | to send rejected rows again | `lakehouse activate replay` |
# MAGIC
# MAGIC - **Once**: content is compared, and a fingerprint is stored only after acceptance.
# MAGIC - **Never lost**: what was not accepted is due, under the same messageId.
# MAGIC - **What remains open**: after a lost answer the same message is sent again, and the API does not
# MAGIC   document that it drops it. For people and objects that changes nothing; an event may count twice,
# MAGIC   and has the same messageId.
