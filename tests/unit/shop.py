"""Small silver tables for the tests of gold: rows as plain dictionaries, and the DataFrames of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import NON_REVENUE_STATUSES, ORDER_STATUSES
from ecommerce_lakehouse.quality.rules import RuleSet

DAY_ONE = datetime(2024, 1, 1, tzinfo=UTC)
ORDERS_SCHEMA = (
    "order_id string, customer_id string, product_id string, product_name string, category string, "
    "price decimal(10,2), quantity int, total_order_value decimal(18,2), status string, "
    "order_timestamp timestamp, order_date date, recorded_at timestamp, status_step int, record_hash bigint, "
    "source_file string, line_hash bigint"
)
CUSTOMERS_SCHEMA = "customer_id string, country string, loyalty_tier string, signup_date date"


def order(
    number: int,
    *,
    day: int = 0,
    hour: float = 12,
    customer: str = "c1",
    product: str = "p1",
    name: str | None = None,
    price: str = "10.00",
    quantity: int = 1,
    status: str = "delivered",
) -> dict[str, Any]:
    """One silver order, placed `day` days and `hour` hours after the start of 1 January 2024 UTC."""
    placed = DAY_ONE + timedelta(days=day, hours=hour)
    return {
        "order_id": f"o{number}",
        "customer_id": customer,
        "product_id": product,
        "product_name": name or f"name of {product}",
        "category": "books",
        "price": Decimal(price),
        "quantity": quantity,
        "total_order_value": Decimal(price) * quantity,
        "status": status,
        "order_timestamp": placed,
        "order_date": placed.date(),
        "recorded_at": placed,
        "status_step": ORDER_STATUSES.index(status) + 1,
        "record_hash": number,
        "source_file": "orders.json",
        "line_hash": number,
    }


def customer(customer_id: str, signup_day: int = 0) -> dict[str, Any]:
    """One silver customer, signed up `signup_day` days after 1 January 2024."""
    return {
        "customer_id": customer_id,
        "country": "DE",
        "loyalty_tier": "gold",
        "signup_date": date(2024, 1, 1) + timedelta(days=signup_day),
    }


def orders_table(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    """Silver orders, in one partition: otherwise a test of few rows spends its time on shuffles."""
    return spark.createDataFrame([Row(**row) for row in rows], ORDERS_SCHEMA).coalesce(1)


def customers_table(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    """Silver customers, in one partition."""
    return spark.createDataFrame([Row(**row) for row in rows], CUSTOMERS_SCHEMA).coalesce(1)


def by(key: str, result: DataFrame) -> dict[Any, dict[str, Any]]:
    """The collected rows by their key; fails if a key is repeated."""
    rows = [row.asDict(recursive=True) for row in result.collect()]
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows), f"{key} is not unique"
    return found


def judged(result: DataFrame, rules: RuleSet) -> DataFrame:
    """Add `broken_rules`: the names of the rules, of any severity, that a row breaks."""
    broken = [F.when(F.expr(f"({rule.constraint}) IS NOT TRUE"), F.lit(rule.name)) for rule in rules.rules]
    return result.withColumn("broken_rules", F.array_compact(F.array(*broken)))


def purchases(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that earn revenue."""
    return [row for row in rows if row["status"] not in NON_REVENUE_STATUSES]


def cents(value: Decimal) -> Decimal:
    """Rounded to cents, half up."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def value_of(rows: list[dict[str, Any]]) -> Decimal:
    """Sum of price times quantity."""
    return sum((row["price"] * row["quantity"] for row in rows), Decimal("0.00"))


@st.composite
def some_orders(draw: st.DrawFn, *, size: int = 60, days: int = 100) -> list[dict[str, Any]]:
    """Orders of a dozen customers and a few products, with idle days, repeats on one day and every status."""
    facts = st.tuples(
        st.integers(0, days),
        st.integers(0, 11),
        st.integers(0, 4),
        st.integers(1, 9_999),
        st.integers(1, 9),
        st.sampled_from(ORDER_STATUSES),
    )
    # Hypothesis' lists are short, six of sixty on average, unless they must not be.
    least = draw(st.sampled_from([1, size // 2, size // 2, size // 2]))
    drawn = draw(st.lists(facts, min_size=least, max_size=size))
    return [
        order(
            number,
            day=day,
            customer=f"c{buyer}",
            product=f"p{product}",
            price=str(Decimal(price) / 100),
            quantity=quantity,
            status=status,
        )
        for number, (day, buyer, product, price, quantity, status) in enumerate(drawn)
    ]


# Four orders in two hours.
HOURS = [
    order(1, hour=10.0, price="10.00", quantity=2),
    order(2, hour=10.5, price="3.00", status="cancelled"),
    order(3, hour=11.2, price="7.50"),
    order(4, hour=11.9, price="2.25"),
]
# Order 1 again, word for word; order 4 again, newer and returned.
REPEATED = [HOURS[0], order(4, hour=11.9 + 1 / 60, price="2.25", status="returned")]


def in_utc(metrics: DataFrame) -> DataFrame:
    """The windows as text, so that the time zone of this process does not matter."""
    text = {name: F.date_format(name, "yyyy-MM-dd HH:mm:ss") for name in ("window_start", "window_end")}
    return metrics.withColumns(text)
