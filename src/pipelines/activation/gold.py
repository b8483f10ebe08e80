"""Gold: who may be written to, what happened to orders, and who lives together, as activation sends it."""

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.expectations import expect_rules
from ecommerce_lakehouse.quality.quarantine import kept
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms import marketing, order_events

spark = SparkSession.active()
config = get_config()


@dp.materialized_view(
    name=config.get_table_name("gold", "marketing_consents"),
    comment="Every customer and channel whose newest valid record grants it; no other row",
    table_properties=config.get_gold_table_properties(["customer_id"]),
)
@expect_rules(rules_for("gold_marketing_consents", config))
def gold_marketing_consents() -> DataFrame:
    return marketing.granted_consents(_silver("marketing_consents"))


@dp.materialized_view(
    name=config.get_table_name("gold", "order_events"),
    comment="What happened to each order: completed, updated, cancelled, refunded; a key, once there, stays",
    table_properties=config.get_gold_table_properties(["order_id"]),
)
@expect_rules(rules_for("gold_order_events", config))
def gold_order_events() -> DataFrame:
    return order_events.order_events(kept(_silver("orders_parsed")))


@dp.materialized_view(
    name=config.get_table_name("gold", "household_members"),
    comment="Every customer who is in a household, with their role and the household's name and country",
    table_properties=config.get_gold_table_properties(["household_id"]),
)
@expect_rules(rules_for("gold_household_members", config))
def gold_household_members() -> DataFrame:
    return marketing.household_members(_silver("household_members"), _silver("households"))


def _silver(entity: str) -> DataFrame:
    return spark.read.table(config.get_table_name("silver", entity))
