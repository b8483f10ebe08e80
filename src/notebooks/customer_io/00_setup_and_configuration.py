# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: setup and configuration
# MAGIC
# MAGIC From nothing to a first call whose answer you can trust. You need a workspace of Customer.io, a source
# MAGIC of the kind "HTTP" or "Python" in its Data Pipelines, and that source's key. Fifteen minutes are
# MAGIC enough.
# MAGIC
# MAGIC - **Use a workspace for tests.** Every notebook in this folder really sends. The people whom it
# MAGIC   invents have identifiers that begin with `example-`; notebook 08 removes them.
# MAGIC - **The key stays out of notebooks.** It is a secret, and nothing here prints it.
# MAGIC - **Choose the region once.** The data of a workspace is in the US or in the EU, and so is its host.
# MAGIC - **Stay in strict mode.** Otherwise the API answers 200 to everything, even to a wrong key.
# MAGIC
# MAGIC ### Where the key goes
# MAGIC On Databricks put it into a secret scope, once, from a terminal:
# MAGIC
# MAGIC ```
# MAGIC databricks secrets create-scope ecommerce_lakehouse
# MAGIC databricks secrets put-secret ecommerce_lakehouse customerio_key
# MAGIC ```
# MAGIC
# MAGIC The second command asks for the value, so that it does not stay in the shell's history. On a laptop
# MAGIC set the environment variable `CUSTOMERIO_KEY`. The variable goes before the secret.
# MAGIC
# MAGIC The client removes a newline at the key's end, which `echo key | databricks secrets put-secret` leaves
# MAGIC there.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup
# MAGIC This cell stops in one line if there is no key, or if the key is of another region than the widget
# MAGIC says.

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.errors import ConfigurationError
from ecommerce_lakehouse.activation.customerio.settings import APP, PIPELINES, Region, Settings
from ecommerce_lakehouse.activation.managers.people import PeopleManager
from ecommerce_lakehouse.activation.managers.setup import AuthenticationManager, SetupManager
from ecommerce_lakehouse.activation.notebooks import as_table, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC `Settings` is all that a client knows: key, region, host, mode, limits, retries. `Settings.of` checks
# MAGIC it before anything is sent. There are two APIs with a key each: the Data Pipelines API takes what
# MAGIC people did, and the App API sends messages to them.

# COMMAND ----------

hosts = [(region.value, PIPELINES[region], APP[region]) for region in Region]
display(as_table(hosts, "region", "data_pipelines_api", "app_api"))

# COMMAND ----------

# MAGIC %md
# MAGIC A newer key says its region: `sk_us_...` or `sk_eu_...`. A key of the wrong region would be refused by
# MAGIC the server, in permissive mode without a word. So it is refused here, before it leaves this machine:

# COMMAND ----------

for key, region in (("sk_eu_invented", "us"), ("sk_us_invented\n", None), ("", "us")):
    try:
        print(repr(region), "->", Settings.of(key, region).host)
    except ConfigurationError as error:
        print(repr(region), "->", error)

# COMMAND ----------

# MAGIC %md
# MAGIC An older key says nothing, and then the region is the US unless you say `eu`. If your workspace is in
# MAGIC the EU and your key is an old one, set the widget `region`: this is the one mistake that cannot be
# MAGIC noticed here.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager
# MAGIC `SetupManager` looks at the setup without sending anything. A line that is not ok is not an error: a
# MAGIC test may well use another host. In production every line should be ok.

# COMMAND ----------

client = Client(setup.settings)
findings = SetupManager(client).check()
display(as_table(findings, "name", "ok", "found"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### Is the key taken?
# MAGIC The API has no call that only checks a key. So `verify` adds a person of your own, without any trait.
# MAGIC In permissive mode it never says yes, because the API's 200 says nothing there.

# COMMAND ----------

verification = AuthenticationManager(client).verify("example-setup")
print("the key is taken" if verification.verified else f"not verified: {verification.reason}")

# COMMAND ----------

# MAGIC %md
# MAGIC ### The first person
# MAGIC Look for `example-ann` in the workspace under "People". If `verify` said yes and she is not there
# MAGIC after a minute, the source is not connected to a workspace: open the source in Data Pipelines and look
# MAGIC at its destinations.

# COMMAND ----------

people = PeopleManager(client)
outcome = people.identify("example-ann", {"email": "ann@example.com", "plan": "gold"})
print(outcome)
display(metrics_table(people.get_metrics()))

# COMMAND ----------

# MAGIC %md
# MAGIC ### What the other notebooks read
# MAGIC They work on an empty lakehouse as well, with a few invented rows, and say so. Tables with data come
# MAGIC from the main job, from `generate_activation_data`, which adds consents, devices and households of the
# MAGIC same customers, and from `activation_pipeline`. On a laptop:
# MAGIC
# MAGIC ```
# MAGIC uv run lakehouse run e2e_pipeline_job
# MAGIC uv run generate_activation_data --environment local
# MAGIC uv run lakehouse run activation_pipeline
# MAGIC ```

# COMMAND ----------

wanted = [("gold", "customer_segments"), ("gold", "marketing_consents"), ("gold", "order_events")]
names = [setup.config.get_table_name(layer, entity) for layer, entity in wanted]
display(as_table([(name, spark.catalog.tableExists(name)) for name in names], "table", "exists"))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **Settings**: checked before a call; a key of another region never leaves this machine.
# MAGIC - **SetupManager**: host, mode, limits and packages, without a call.
# MAGIC - **AuthenticationManager**: whether the key is taken, by the only way there is.
# MAGIC
# MAGIC | If this happens | Then |
# MAGIC |---|---|
# MAGIC | `There is no key of Customer.io` | set the variable, or the two widgets of the secret |
# MAGIC | `answered 401: it does not take this key` | the key is of another source, or was replaced |
# MAGIC | `answered 404: this is not the API` | the host is wrong: is `CUSTOMERIO_BASE_URL` set? |
# MAGIC | accepted, but not `verified` | the mode is permissive: choose strict |
# MAGIC | everything is accepted, nothing arrives | an old key without a region: say `eu` |
# MAGIC
# MAGIC Next: `01_authentication_and_utilities`.
