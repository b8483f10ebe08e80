# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: advanced tracking
# MAGIC
# MAGIC Events that Customer.io knows itself, beside those of the shop:
# MAGIC - e-mails that another program sent, live chats, apps, videos, experiments;
# MAGIC - the context of an event: campaign, address, program;
# MAGIC - destinations that a call goes to, or does not.
# MAGIC
# MAGIC The reference below is made from the registry, as are the managers' methods, so they cannot differ.

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
from ecommerce_lakehouse.activation.customerio.models import Campaign, Context
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.events import EventsManager
from ecommerce_lakehouse.activation.managers.metrics import Metrics
from ecommerce_lakehouse.activation.managers.semantic import (
    EmailManager,
    LiveChatManager,
    MobileManager,
    VideoManager,
)
from ecommerce_lakehouse.activation.notebooks import SendRows, event_reference, message_id, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models

# COMMAND ----------

display(event_reference("email", "live_chat", "mobile", "experiments"))

# COMMAND ----------

display(event_reference("video"))

# COMMAND ----------

# MAGIC %md
# MAGIC Customer.io writes `Video Playback interrupted` with a small letter. The registry has each name once,
# MAGIC so that no code has to spell it.
# MAGIC
# MAGIC ## Manager
# MAGIC Managers that share `Metrics` are seen together.

# COMMAND ----------

client = Client(setup.settings)
metrics = Metrics()
email, chat = EmailManager(client, metrics=metrics), LiveChatManager(client, metrics=metrics)
mobile, video = MobileManager(client, metrics=metrics), VideoManager(client, metrics=metrics)
events = EventsManager(client, metrics=metrics)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### An e-mail of another program
# MAGIC The properties are about the e-mail, the context is about who got it.

# COMMAND ----------

to_ann = Context(traits={"email": "ann@example.com"})
about = {"email_id": "example-mail-1", "email_subject": "Your order", "campaign_name": "receipts"}
email.email_delivered(about, user_id="example-ann", context=to_ann)
email.email_link_clicked(
    {**about, "link_url": "https://shop.example.com/orders"}, user_id="example-ann", context=to_ann
)

# COMMAND ----------

# MAGIC %md
# MAGIC ### An app, a chat, a video, an experiment

# COMMAND ----------

mobile.application_updated({"version": "3.2", "previous_version": "3.1"}, user_id="example-ann")
chat.live_chat_conversation_started({"conversation_id": "example-c1"}, user_id="example-ann")
watched = {"session_id": "example-v1", "total_length": 120, "quality": "hd1080"}
video.video_playback_started({**watched, "position": 0}, user_id="example-ann")
video.video_playback_interrupted({**watched, "position": 42, "method": "call"}, user_id="example-ann")
events.experiment_viewed(
    {"experiment_id": "example-x1", "variation_name": "red button"}, anonymous_id="example-visitor-9"
)

# COMMAND ----------

# MAGIC %md
# MAGIC ### A property that is not documented
# MAGIC is refused, with the name that was probably meant. Properties of your own go into `extra`.

# COMMAND ----------

try:
    mobile.application_opened({"verison": "3.2"}, user_id="example-ann")
except ValueError as error:
    print(error)
mobile.application_opened({"version": "3.2"}, extra={"theme": "dark"}, user_id="example-ann")

# COMMAND ----------

# MAGIC %md
# MAGIC ### Where a person came from, and where an event goes
# MAGIC `integrations` leaves out a destination of the workspace for this call.

# COMMAND ----------

came_from = Context(campaign=Campaign(name="spring", source="newsletter", medium="email"), ip="203.0.113.7")
mobile.application_installed(
    {"version": "3.2"},
    user_id="example-ann",
    context=came_from,
    integrations={"All": True, "Mixpanel": False},
)

# COMMAND ----------

# MAGIC %md
# MAGIC ### Batch and streaming: playback of a video
# MAGIC `track` of `builders` makes a registered event without sending it, for a batch or a stream.

# COMMAND ----------

plays = [{"session": "example-v2", "viewer": "example-101", "second": second} for second in (10, 20)]


def playing(row):
    return track(
        registry.VIDEO_CONTENT_PLAYING,
        {"session_id": row["session"], "position": row["second"]},
        user_id=row["viewer"],
        message_id=message_id("playing", row["session"], row["second"]),
    )


batch = BatchManager(client, metrics=metrics)
print(dict(batch.send(map(playing, plays)).outcomes))
more = [{"session": "example-v2", "viewer": "example-101", "second": 30}]
folder, checkpoint = setup.arrive("plays", more)
query = (
    spark.readStream.schema("session string, viewer string, second int")
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, playing))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()

# COMMAND ----------

for manager in (email, chat, mobile, video, events, batch):
    display(metrics_table(manager.get_metrics()))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC - **EmailManager, LiveChatManager, MobileManager, VideoManager**: a method for each event, typed by
# MAGIC   its fields.
# MAGIC - **Context and integrations**: what surrounds an event, and where it goes.
# MAGIC - **Registry**: the one place with every name, field and meaning.
