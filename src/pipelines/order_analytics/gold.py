"""Gold: figures of the order batches for the business."""

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.expectations import expect_rules
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms import order_batches

spark = SparkSession.active()
config = get_config()
ORDERS = config.get_table_name("silver", "order_batches")


@dp.materialized_view(
    name=config.get_table_name("gold", "order_business_metrics"),
    comment="Purchases, customers and revenue of the order batches, per date",
    table_properties=config.get_gold_table_properties(["date_ordered"]),
)
@expect_rules(rules_for("gold_order_business_metrics", config))
def gold_order_business_metrics() -> DataFrame:
    return order_batches.business_metrics(spark.read.table(ORDERS))


@dp.materialized_view(
    name=config.get_table_name("gold", "order_customer_analytics"),
    comment="What each customer of the order batches bought, and their share of the revenue",
    table_properties=config.get_gold_table_properties(["customer_id"]),
)
@expect_rules(rules_for("gold_order_customer_analytics", config))
def gold_order_customer_analytics() -> DataFrame:
    return order_batches.customer_analytics(spark.read.table(ORDERS))


@dp.materialized_view(
    name=config.get_table_name("gold", "order_item_sales"),
    comment="What each item of the order batches sold",
    table_properties=config.get_gold_table_properties(["order_item"]),
)
@expect_rules(rules_for("gold_order_item_sales", config))
def gold_order_item_sales() -> DataFrame:
    return order_batches.item_sales(spark.read.table(ORDERS))
