"""Feature tables: point-in-time correct, keyed for a feature store."""

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.expectations import expect_rules
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms import (
    features_activity,
    features_churn,
    features_copurchase,
    features_purchases,
)
from ecommerce_lakehouse.transforms.features_grid import SnapshotGrid
from ecommerce_lakehouse.transforms.features_schemas import FEATURE_KEYS, feature_schema

spark = SparkSession.active()
config = get_config()
grid = SnapshotGrid(config.feature_snapshot_days)

ORDERS = config.get_table_name("silver", "orders_as_known")
ACTIVITY = config.get_table_name("silver", "customer_activity_as_known")


@dp.materialized_view(
    name=config.get_table_name("feature", "customer_engagement"),
    comment="How much each customer uses the shop, at every snapshot",
    schema=feature_schema("customer_engagement"),
    table_properties=config.get_gold_table_properties(FEATURE_KEYS["customer_engagement"]),
)
@expect_rules(rules_for("feature_customer_engagement", config))
def feature_customer_engagement() -> DataFrame:
    return features_activity.customer_engagement(spark.read.table(ACTIVITY), grid)


@dp.materialized_view(
    name=config.get_table_name("feature", "device_preference"),
    comment="Which devices each customer uses, at every snapshot",
    schema=feature_schema("device_preference"),
    table_properties=config.get_gold_table_properties(FEATURE_KEYS["device_preference"]),
)
@expect_rules(rules_for("feature_device_preference", config))
def feature_device_preference() -> DataFrame:
    return features_activity.device_preference(spark.read.table(ACTIVITY), grid)


@dp.materialized_view(
    name=config.get_table_name("feature", "purchase_behaviour"),
    comment="What, how much and when each customer buys, at every snapshot",
    schema=feature_schema("purchase_behaviour"),
    table_properties=config.get_gold_table_properties(FEATURE_KEYS["purchase_behaviour"]),
)
@expect_rules(rules_for("feature_purchase_behaviour", config))
def feature_purchase_behaviour() -> DataFrame:
    return features_purchases.purchase_behaviour(spark.read.table(ORDERS), grid)


@dp.materialized_view(
    name=config.get_table_name("feature", "churn_risk"),
    comment="How long each customer has been inactive and the risk of losing them, at every snapshot",
    schema=feature_schema("churn_risk"),
    table_properties=config.get_gold_table_properties(FEATURE_KEYS["churn_risk"]),
)
@expect_rules(rules_for("feature_churn_risk", config))
def feature_churn_risk() -> DataFrame:
    return features_churn.churn_risk(
        spark.read.table(ORDERS),
        spark.read.table(ACTIVITY),
        grid,
        medium_risk_days=config.churn_medium_risk_days,
        high_risk_days=config.churn_high_risk_days,
    )


@dp.materialized_view(
    name=config.get_table_name("feature", "lifetime_value"),
    comment="What each customer has spent and may spend in a year, at every snapshot",
    schema=feature_schema("lifetime_value"),
    table_properties=config.get_gold_table_properties(FEATURE_KEYS["lifetime_value"]),
)
@expect_rules(rules_for("feature_lifetime_value", config))
def feature_lifetime_value() -> DataFrame:
    return features_purchases.lifetime_value(spark.read.table(ORDERS), grid)


@dp.materialized_view(
    name=config.get_table_name("feature", "product_copurchase"),
    comment="How many customers bought both of two products, at every snapshot that changed it",
    schema=feature_schema("product_copurchase"),
    table_properties=config.get_gold_table_properties(FEATURE_KEYS["product_copurchase"]),
)
@expect_rules(rules_for("feature_product_copurchase", config))
def feature_product_copurchase() -> DataFrame:
    return features_copurchase.product_copurchase(spark.read.table(ORDERS), grid)
