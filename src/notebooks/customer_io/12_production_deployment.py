# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: production deployment
# MAGIC
# MAGIC From a notebook that works to a job that runs every night:
# MAGIC - what differs between environments, and what must not;
# MAGIC - what to look at before the first run, and a first run that is small;
# MAGIC - whether the jobs are deployed as production needs them;
# MAGIC - how to go back.
# MAGIC
# MAGIC Deploying itself is `databricks bundle deploy -t prod`, from a terminal or from continuous
# MAGIC integration. A notebook that deploys would be one more thing to deploy.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.models import Identify
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.jobs import DeploymentManager, PipelineManager
from ecommerce_lakehouse.activation.managers.setup import AuthenticationManager, SetupManager
from ecommerce_lakehouse.activation.notebooks import SendRows, as_table, message_id, metrics_table
from ecommerce_lakehouse.config import ENVIRONMENTS, get_config

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC An environment is a file of settings, and the bundle's target says which one counts. Each environment
# MAGIC has a workspace of Customer.io of its own, and so a secret of its own: a test that reaches the people
# MAGIC of prod cannot be undone.

# COMMAND ----------

shown = ("environment", "catalog", "secret_scope", "customerio_key", "customerio_region")
display(as_table(map(get_config, ENVIRONMENTS), *shown))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager
# MAGIC The jobs are seen through the workspace's API. On a laptop without a workspace there is nothing to
# MAGIC see, and `lakehouse workspace` starts a local one.

# COMMAND ----------

client = Client(setup.settings)
try:
    from databricks.sdk import WorkspaceClient

    workspace = WorkspaceClient()
except Exception as error:
    workspace = None
    print(f"No workspace: {str(error).splitlines()[0]}")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### Before the first run
# MAGIC Every line should be ok in prod. Elsewhere a host for tests is as it should be.

# COMMAND ----------

display(as_table(SetupManager(client).check(), "name", "ok", "found"))
verification = AuthenticationManager(client).verify("example-deploy")
print("the key is taken" if verification.verified else f"not verified: {verification.reason}")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Are the jobs deployed as production needs them?

# COMMAND ----------

JOBS = ["e2e_pipeline_job", "customerio_sync"]
if workspace is not None:
    deployment = DeploymentManager(workspace)
    display(as_table(deployment.check(JOBS), "name", "ok", "found"))
    display(metrics_table(deployment.get_metrics()))

# COMMAND ----------

# MAGIC %md
# MAGIC ### Run a job by hand
# MAGIC The widget `run_job` names it; empty, nothing is run.

# COMMAND ----------

dbutils.widgets.text("run_job", "", "Job to run now")
chosen = dbutils.widgets.get("run_job")
if workspace is not None and chosen:
    pipeline = PipelineManager(workspace)
    print(pipeline.run(chosen))
    display(as_table(pipeline.runs(chosen, 5), "run_id", "result", "started", "seconds", "message"))

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch: a first run that is small
# MAGIC One person first. Only if nothing was rejected and nothing is still due do the others follow. A
# MAGIC mistake in a mapping then concerns one person, whom you can look at in Customer.io.

# COMMAND ----------

invented = [("example-101", "Champions"), ("example-102", "At Risk"), ("example-103", "Prospect")]
columns = "customer_id string, rfm_segment string"
people = setup.people(spark, ("gold", "customer_segments"), columns, invented)


def segment(row):
    user, value = row["customer_id"], row["rfm_segment"]
    return Identify(user_id=user, traits={"rfm_segment": value}, message_id=message_id("first", user, value))


batch = BatchManager(client)
messages = [segment(row.asDict()) for row in people.toLocalIterator()]
first = batch.send(messages[:1])
print("first:", dict(first.outcomes))
if first.due or first.rejected:
    print("stopped: look at this person before the others follow")
else:
    print("others:", dict(batch.send(messages[1:]).outcomes))

# COMMAND ----------

# MAGIC %md
# MAGIC ### Streaming in a job
# MAGIC `availableNow` reads what is there and ends, so a job can start it on a schedule, and serverless
# MAGIC compute takes no other trigger. The checkpoint is in the volume, because a cluster's own disk goes
# MAGIC with the cluster. A second notebook with the same checkpoint must not run at the same time: the job
# MAGIC has `max_concurrent_runs: 1`.

# COMMAND ----------

folder, checkpoint = setup.arrive("deployed", [{"customer_id": "example-104", "rfm_segment": "Promising"}])
query = (
    spark.readStream.schema(columns)
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, segment))
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
# MAGIC | Step | How |
# MAGIC |---|---|
# MAGIC | check what would be deployed | `databricks bundle validate -t prod` |
# MAGIC | deploy | `databricks bundle deploy -t prod` |
# MAGIC | the key | `databricks secrets put-secret ecommerce_lakehouse customerio_key` |
# MAGIC | a new key | put it under the same name; the next run reads it |
# MAGIC | go back | deploy the commit before; what was accepted stays known, so nothing is sent twice |
# MAGIC | stop everything | pause the job's schedule; what is due stays due |
# MAGIC
# MAGIC - **SetupManager, AuthenticationManager**: before the first run.
# MAGIC - **DeploymentManager**: deployed by a bundle, scheduled, one run at a time, a failure is heard, the
# MAGIC   last run succeeded.
# MAGIC - **PipelineManager**: runs a job of the bundle, and says how its runs ended.
