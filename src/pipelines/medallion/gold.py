"""Gold: tables for the business. Every dataset is a declaration over a pure function of `transforms`."""

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.datasets import streamed
from ecommerce_lakehouse.quality.expectations import expect_rules
from ecommerce_lakehouse.quality.quarantine import kept
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms import customers, products, sales

spark = SparkSession.active()
config = get_config()


@dp.materialized_view(
    name=config.get_table_name("gold", "daily_sales"),
    comment="Orders, customers, units and revenue of each date",
    table_properties=config.get_gold_table_properties(["order_date"]),
)
@expect_rules(rules_for("gold_daily_sales", config))
def gold_daily_sales() -> DataFrame:
    return sales.daily_sales(_silver("orders"))


@dp.materialized_view(
    name=config.get_table_name("gold", "rolling_sales"),
    comment="The seven days that end with each date, with exact distinct customers",
    table_properties=config.get_gold_table_properties(["metric_date"]),
)
@expect_rules(rules_for("gold_rolling_sales", config))
def gold_rolling_sales() -> DataFrame:
    return sales.rolling_sales(_silver("orders"))


@dp.table(
    name=config.get_table_name("gold", "realtime_metrics"),
    comment=f"Orders and revenue per {config.realtime_window} of event time, once the watermark closes it",
    table_properties=config.get_gold_table_properties(["window_start"]),
)
@expect_rules(rules_for("gold_realtime_metrics", config))
def gold_realtime_metrics() -> DataFrame:
    parsed = streamed(config.get_table_name("silver", "orders_parsed"))
    return sales.realtime_metrics(kept(parsed), config)


@dp.materialized_view(
    name=config.get_table_name("gold", "customer_segments"),
    comment="Every customer's RFM scores, segments, lifecycle stage, value tier and churn risk",
    table_properties=config.get_gold_table_properties(["customer_id"]),
)
@expect_rules(rules_for("gold_customer_segments", config))
def gold_customer_segments() -> DataFrame:
    return customers.customer_segments(_silver("orders"), _silver("customers"), config)


@dp.materialized_view(
    name=config.get_table_name("gold", "customer_lifetime_value"),
    comment="Every customer's value to date and predicted value of the next 365 days",
    table_properties=config.get_gold_table_properties(["customer_id"]),
)
@expect_rules(rules_for("gold_customer_lifetime_value", config))
def gold_customer_lifetime_value() -> DataFrame:
    return customers.customer_lifetime_value(_silver("orders"), _silver("customers"), config)


@dp.materialized_view(
    name=config.get_table_name("gold", "product_performance"),
    comment="Every product's popularity, price stability and variance, returns and lifecycle stage",
    table_properties=config.get_gold_table_properties(["product_id"]),
)
@expect_rules(rules_for("gold_product_performance", config))
def gold_product_performance() -> DataFrame:
    return products.product_performance(_silver("orders"), config)


@dp.materialized_view(
    name=config.get_table_name("gold", "data_quality_check"),
    comment="One row that counts what silver and quarantine hold; the update fails if silver has no orders",
    table_properties=config.get_gold_table_properties(),
)
@expect_rules(rules_for("gold_data_quality_check", config))
def gold_data_quality_check() -> DataFrame:
    return sales.data_quality_check(
        orders=_silver("orders"),
        quarantined=spark.read.table(config.get_table_name("quarantine", "orders")),
        duplicates=_silver("orders_duplicates"),
        customers=_silver("customers"),
    )


def _silver(entity: str) -> DataFrame:
    return spark.read.table(config.get_table_name("silver", entity))
