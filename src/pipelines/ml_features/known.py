"""What was known of orders and sessions, and when: the source of the features of a snapshot."""

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.expectations import expect_rules
from ecommerce_lakehouse.quality.quarantine import kept
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms import features_known

spark = SparkSession.active()
config = get_config()


@dp.materialized_view(
    name=config.get_table_name("silver", "orders_as_known"),
    comment="Every state of an order that features distinguish, with the time in which it was known",
    table_properties=config.get_silver_table_properties(["customer_id"]),
)
@expect_rules(rules_for("silver_orders_as_known", config))
def silver_orders_as_known() -> DataFrame:
    return features_known.orders_as_known(_valid_records("orders"))


@dp.materialized_view(
    name=config.get_table_name("silver", "customer_activity_as_known"),
    comment="Every state of a session, with the time in which it was known",
    table_properties=config.get_silver_table_properties(["customer_id"]),
)
@expect_rules(rules_for("silver_customer_activity_as_known", config))
def silver_customer_activity_as_known() -> DataFrame:
    return features_known.activity_as_known(_valid_records("customer_activity"))


def _valid_records(entity: str) -> DataFrame:
    return kept(spark.read.table(config.get_table_name("silver", f"{entity}_parsed")))
