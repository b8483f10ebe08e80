# Databricks notebook source
# MAGIC %md
# MAGIC # Customer.io: ecommerce events
# MAGIC
# MAGIC You want campaigns like "left something in the cart", "bought twice", "asked for a refund".
# MAGIC Customer.io knows what a purchase is, if its events have exactly the names and the fields that it
# MAGIC documents. This notebook shows which event belongs where, and the mistakes that are expensive because
# MAGIC an event cannot be taken back.
# MAGIC
# MAGIC 1. A visit to the shop, from a search to a purchase, one event at a time.
# MAGIC 2. The life of an order: completed, updated, refunded or cancelled.
# MAGIC 3. The orders of the lakehouse, as a batch and as a stream.
# MAGIC
# MAGIC ### Five mistakes
# MAGIC - **A name that is nearly right.** `Order completed` is an event of your own, and no revenue. Use the
# MAGIC   methods of `EcommerceManager`: they are made from the registry of names.
# MAGIC - **A field that is nearly right.** `orderId` is taken and does nothing. Here it is refused.
# MAGIC - **`Order Completed` twice for one order.** It is revenue twice. A changed order is `Order Updated`.
# MAGIC - **No timestamp.** A year of old orders then happened today, and starts a year of campaigns.
# MAGIC - **Prices as floats.** 0.1 + 0.2 is 0.30000000000000004, also in an e-mail. A `Decimal` is sent with
# MAGIC   its own digits.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Imports and setup

# COMMAND ----------

# MAGIC %run ./start

# COMMAND ----------

# ruff: noqa: F821
from datetime import UTC, datetime
from decimal import Decimal

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.builders import track
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.semantic import EcommerceManager
from ecommerce_lakehouse.activation.notebooks import SendRows, event_reference, message_id, metrics_table

# COMMAND ----------

# MAGIC %md
# MAGIC ## Models
# MAGIC Every event of a shop that Customer.io knows, with its fields. All fields are optional: send those
# MAGIC that you have, and leave out the rest rather than sending null.

# COMMAND ----------

display(event_reference("ecommerce"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Manager

# COMMAND ----------

client = Client(setup.settings)
shop = EcommerceManager(client)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Examples
# MAGIC ### 1. A visit
# MAGIC Before a login the visitor is anonymous. After it, call `identify` once with both identifiers, as
# MAGIC notebook 02 does, and what they looked at becomes theirs.

# COMMAND ----------

VISITOR, ANN = "example-visitor-9", "example-ann"
lamp = {"product_id": "p-7", "name": "Lamp", "category": "home", "price": Decimal("19.90")}
cable = {"product_id": "p-8", "name": "Cable", "category": "home", "price": Decimal("0.10")}

shop.products_searched({"query": "lamp"}, anonymous_id=VISITOR)
shop.product_list_viewed({"list_id": "home", "products": [lamp, cable]}, anonymous_id=VISITOR)
shop.product_viewed({**lamp, "currency": "EUR"}, anonymous_id=VISITOR)

# COMMAND ----------

# MAGIC %md
# MAGIC The cart is what "left something in the cart" looks at: `Product Added` begins it, `Order Completed`
# MAGIC ends it. Both need the same person, so send the cart's events with the `userId` as soon as it is
# MAGIC known.

# COMMAND ----------

shop.product_added({**lamp, "quantity": 1, "cart_id": "cart-1"}, user_id=ANN)
shop.product_added({**cable, "quantity": 3, "cart_id": "cart-1"}, user_id=ANN)
shop.product_removed({**cable, "quantity": 1, "cart_id": "cart-1"}, user_id=ANN)
shop.cart_viewed({"cart_id": "cart-1", "products": [lamp, cable]}, user_id=ANN)
shop.coupon_applied({"cart_id": "cart-1", "coupon_id": "SPRING", "discount": Decimal("2.00")}, user_id=ANN)
shop.checkout_started({"order_id": "example-o-1", "currency": "EUR"}, user_id=ANN)
shop.payment_info_entered({"order_id": "example-o-1", "payment_method": "card"}, user_id=ANN)

# COMMAND ----------

# MAGIC %md
# MAGIC ### 2. The life of an order
# MAGIC `revenue` is without shipping and tax, `total` is with both: 19.90 + 2 x 0.10 - 2.00 = 18.10, with
# MAGIC shipping 4.90 that is 23.00. The messageId is made of the order and of what happened to it, so that
# MAGIC sending again is the same event.

# COMMAND ----------

bought = datetime(2026, 5, 1, 12, tzinfo=UTC)
order = {
    "order_id": "example-o-1",
    "currency": "EUR",
    "revenue": Decimal("18.10"),
    "shipping": Decimal("4.90"),
    "discount": Decimal("2.00"),
    "total": Decimal("23.00"),
    "products": [{**lamp, "quantity": 1}, {**cable, "quantity": 2}],
}
shop.order_completed(
    order, user_id=ANN, timestamp=bought, message_id=message_id("order", "example-o-1", "completed")
)

# COMMAND ----------

# MAGIC %md
# MAGIC She sends one cable back. A part that is returned is an update of the order; a refund of all of it is
# MAGIC `Order Refunded`. `Order Cancelled` is for an order that was never delivered. `Order Updated` has no
# MAGIC `total`, and the registry says so:

# COMMAND ----------

changed = {
    **order,
    "revenue": Decimal("18.00"),
    "products": [{**lamp, "quantity": 1}, {**cable, "quantity": 1}],
}
returned = datetime(2026, 5, 3, 9, tzinfo=UTC)
try:
    shop.order_updated(changed, user_id=ANN, timestamp=returned)
except ValueError as error:
    print(error)
without_total = {name: value for name, value in changed.items() if name != "total"}
shop.order_updated(
    without_total,
    user_id=ANN,
    timestamp=returned,
    message_id=message_id("order", "example-o-1", "updated", 1),
)

# COMMAND ----------

shop.order_refunded(
    {"order_id": "example-o-1", "currency": "EUR", "total": Decimal("23.00")},
    user_id=ANN,
    timestamp=datetime(2026, 5, 9, 9, tzinfo=UTC),
    message_id=message_id("order", "example-o-1", "refunded"),
)

# COMMAND ----------

# MAGIC %md
# MAGIC ### 3. Batch: the orders of the lakehouse
# MAGIC The table `gold_order_events` has a row for each thing that happened to an order, with the event's
# MAGIC exact name, its own time, and a key that never changes. So nothing has to be worked out here: the
# MAGIC row's event chooses from the registry, and the key makes the messageId.

# COMMAND ----------

invented = [
    ("o-1:completed", "o-1", "example-101", "Order Completed", "2026-05-01T08:00:00Z", Decimal("59.70")),
    ("o-2:completed", "o-2", "example-102", "Order Completed", "2026-05-01T08:05:00Z", Decimal("12.00")),
    ("o-2:refunded:1", "o-2", "example-102", "Order Refunded", "2026-05-02T10:00:00Z", Decimal("12.00")),
]
columns = (
    "order_event_id string, order_id string, customer_id string, event string, occurred_at string, "
    "total decimal(18,2)"
)
rows = setup.people(spark, ("gold", "order_events"), columns, invented)
if dict(rows.dtypes)["occurred_at"] == "timestamp":
    # Python loses a timestamp's zone, which the session has; its text keeps it.
    zoned = "date_format(occurred_at, \"yyyy-MM-dd'T'HH:mm:ssXXX\")"
    rows = rows.selectExpr("* except (occurred_at)", f"{zoned} AS occurred_at")


def order_event(row):
    event = registry.event_named(row["event"])
    amount = "revenue" if event is registry.ORDER_UPDATED else "total"
    return track(
        event,
        {"order_id": row["order_id"], "currency": "EUR", amount: Decimal(row["total"])},
        user_id=row["customer_id"],
        timestamp=row["occurred_at"],
        message_id=message_id("order_event", row["order_event_id"]),
    )


batch = BatchManager(client)
summary = batch.send(order_event(row.asDict()) for row in rows.toLocalIterator())
print(dict(summary.outcomes))

# COMMAND ----------

# MAGIC %md
# MAGIC If you run this cell again, every event arrives again, under the same messageId. The API does not
# MAGIC document that it drops a repetition. To send each event once, let a sync keep what was accepted:
# MAGIC notebook 10.
# MAGIC
# MAGIC ### Streaming: orders as they are placed
# MAGIC A total arrives as text, because JSON's numbers become floats on their way through Spark.

# COMMAND ----------

placed = [
    ("o-3:completed", "o-3", "example-103", "Order Completed", "2026-05-03T08:00:00Z", "7.25"),
    ("o-3:cancelled:1", "o-3", "example-103", "Order Cancelled", "2026-05-03T09:00:00Z", "7.25"),
]
names = [column.split()[0] for column in columns.split(", ")]
folder, checkpoint = setup.arrive("orders", [dict(zip(names, row, strict=True)) for row in placed])
query = (
    spark.readStream.schema(columns.replace("decimal(18,2)", "string"))
    .json(folder)
    .writeStream.foreachBatch(SendRows(setup.settings, order_event))
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
display(metrics_table(shop.get_metrics()))
client.close()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Summary
# MAGIC
# MAGIC | What happened | Event | Must not |
# MAGIC |---|---|---|
# MAGIC | the first time that an order earns | `Order Completed` | be sent again for this order |
# MAGIC | the order's content changed | `Order Updated` | have a `total` |
# MAGIC | it was stopped before delivery | `Order Cancelled` | stand for a return |
# MAGIC | all of it came back | `Order Refunded` | stand for a part |
# MAGIC
# MAGIC - **EcommerceManager**: a method for each event, with the documented fields.
# MAGIC - **messageId and timestamp**: from the order, never from the moment of sending.
# MAGIC - Only customers who granted the channel `email` are read from the lakehouse.
