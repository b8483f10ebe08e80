"""The datasets as JSON lines, intentional issues included: `lines_of`.

`order_updates` are more lines of orders. Of each of some orders, which were delivered as pending, there are
four, made on the day after:

- that it is being processed;
- what became of it, which for one in four also corrects the quantity;
- the same again from another system, made at the same time, which is not as far in the order's life;
- an order of the same customer that arrives a day late.

Of every second order these arrive in the opposite order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import GENDERS, LOYALTY_TIERS, SAMPLED
from ecommerce_lakehouse.generation.catalogue import MIN_PRICE, POPULARITY_SHIFT, catalogue
from ecommerce_lakehouse.generation.columns import (
    LINE,
    Columns,
    event_time,
    hashed,
    lookup,
    normal,
    padded,
    uniform,
    zipf_rank,
)
from ecommerce_lakehouse.generation.customers import (
    add_active_customer,
    customer_id,
    joined_seconds,
    updated_customer,
)
from ecommerce_lakehouse.generation.lines import BYTE, FAR_FUTURE, add_issue, add_line, faulty, quoted
from ecommerce_lakehouse.generation.manifest import ORDER_UPDATES
from ecommerce_lakehouse.generation.plan import LINES_PER_FILE, REVISED_EVERY, BatchPlan, DatasetPlan
from ecommerce_lakehouse.generation.seasonality import DAY_SECONDS, add_event_seconds

STATUS_WEIGHTS = {
    "pending": 4,
    "processing": 6,
    "shipped": 12,
    "delivered": 68,
    "cancelled": 6,
    "returned": 4,
}
QUANTITY_WEIGHTS = {1: 46, 2: 22, 3: 12, 4: 7, 5: 4, 6: 3, 7: 2, 8: 2, 9: 1, 10: 1}
DEVICE_WEIGHTS = {"mobile": 55, "desktop": 35, "tablet": 10}
GENDER_WEIGHTS = dict(zip(GENDERS, (49, 48, 3), strict=True))
TIER_WEIGHTS = dict(zip(LOYALTY_TIERS, (52, 28, 15, 5), strict=True))
COUNTRY_WEIGHTS = {"United States": 40, "Germany": 18, "United Kingdom": 16, "France": 14, "Japan": 12}
PRICE_VARIATION = 0.04  # standard deviation of a price around the product's base price, as a share of it
SESSION_MEAN, SESSION_DEVIATION, SESSION_MINIMUM = 480, 160, 10  # seconds

# With the entity whose lines they are.
DATASETS = {name: name for name in SAMPLED} | {ORDER_UPDATES: "orders"}
LATE_NUMBERS = 500_000_000  # beyond those of other orders
PROCESSED, DECIDED, LATE, REPEATED = range(4)


def lines_of(spark: SparkSession, config: LakehouseConfig, plan: BatchPlan, entity: str) -> DataFrame:
    """The lines of one of `DATASETS` in a batch.

    Out: `value` STRING, the line, whose bytes need not be UTF-8, or NULL where no line arrives; `_issue`
    STRING, its intentional issue or NULL; `_update` BOOLEAN, whether it is a newer record of a customer or an
    order that was delivered before.
    """
    if entity == ORDER_UPDATES:
        return _order_updates(spark, config, plan)
    builders: Mapping[str, Callable[[Columns, LakehouseConfig, BatchPlan], None]] = {
        "orders": _orders,
        "customer_activity": _sessions,
        "customer_profiles": _profiles,
    }
    dataset = dataset_plan(plan, entity)
    columns = Columns(spark, entity, dataset.lines, dataset.partitions, plan.parameters.seed)
    add_issue(columns, dataset.spread)
    columns.add("_number", "bigint", f"_source + {dataset.first_number}L")
    if entity != "customer_profiles":
        columns.add("_update", "boolean", "false", output=True)
    builders[entity](columns, config, plan)
    return columns.build()


def dataset_plan(plan: BatchPlan, entity: str) -> DatasetPlan:
    """The part of a batch's plan that concerns one entity."""
    return {
        "orders": plan.orders,
        "customer_activity": plan.customer_activity,
        "customer_profiles": plan.customer_profiles,
    }[entity]


def _orders(columns: Columns, config: LakehouseConfig, plan: BatchPlan) -> None:
    _add_order(columns, config, plan)
    revised = f"{plan.orders.spread.clean_ordinal('_source')} % {REVISED_EVERY} = 0"
    fields = _order_fields("_quantity", f"IF({revised}, 'pending', _status)")
    add_line(columns, fields, '"coupon_code":"WELCOME10"', plan.parameters.seed)


def _order_updates(spark: SparkSession, config: LakehouseConfig, plan: BatchPlan) -> DataFrame:
    placed, parameters = plan.revised, plan.parameters
    spread, (first_day, last_day) = placed.orders.spread, plan.revised_days
    # Of a long batch only the last day is looked at: its orders are among the last two days' share of lines.
    orders = -(-spread.clean // REVISED_EVERY)
    skipped = orders * max(0, parameters.days - 2) // parameters.days if plan.batch == 1 else 0
    lines = 4 * (orders - skipped)
    columns = Columns(spark, ORDER_UPDATES, lines, max(1, -(-lines // LINES_PER_FILE)), parameters.seed)
    columns.add("_turn", "bigint", f"{LINE} div 4 + {skipped}L")
    columns.add("_part", "bigint", f"IF(_turn % 2 = 0, {LINE} % 4, 3 - {LINE} % 4)")
    columns.add("_issue", "string", "cast(NULL AS STRING)", output=True)
    columns.add("_update", "boolean", f"_part <> {LATE}", output=True)
    columns.add("_source", "bigint", spread.clean_line(f"_turn * {REVISED_EVERY}L"))
    late = f"IF(_part = {LATE}, {LATE_NUMBERS}L, 0L)"
    columns.add("_number", "bigint", f"_source + {placed.orders.first_number}L + {late}")
    _add_order(columns, config, placed)
    columns.add("_placed", "bigint", "_day", output=True)
    half = DAY_SECONDS // 2
    moment = f"cast({uniform(parameters.seed, '_number', 'updated')} * {half} AS BIGINT)"
    starts = f"(_day + 1) * {DAY_SECONDS}L + IF(_part = {PROCESSED}, 0, {half})"
    columns.add("_updated", "bigint", f"{starts} + {moment}")
    corrects = f"_part IN ({DECIDED}, {REPEATED}) AND _turn % 4 = 3"
    columns.add("_corrected", "int", f"least(_quantity + IF({corrects}, 1, 0), {config.max_quantity})")
    told = {LATE: "_status", REPEATED: "'pending'", PROCESSED: "'processing'"}
    cases = " ".join(f"WHEN {part} THEN {status}" for part, status in told.items())
    decided = "IF(_status = 'pending', 'processing', _status)"
    columns.add("_told", "string", f"CASE _part {cases} ELSE {decided} END")
    fields = _order_fields("_corrected", "_told")
    fields["updated_at"] = f"IF(_part = {LATE}, 'null', {quoted(event_time('_updated'))})"
    add_line(columns, fields, '"coupon_code":"WELCOME10"', parameters.seed)
    arrives = F.col("_placed").between(first_day, last_day)
    return columns.build().select("_issue", "_update", F.when(arrives, F.col("value")).alias("value"))


def _add_order(columns: Columns, config: LakehouseConfig, plan: BatchPlan) -> None:
    """Adds what an order is about, by its `_number` and the line of the plan in `_source`."""
    seed = plan.parameters.seed
    add_event_seconds(columns, plan, plan.orders.lines, "_number")
    columns.add("_day", "bigint", f"_seconds div {DAY_SECONDS}")
    add_active_customer(columns, plan, "_number")
    products = catalogue(seed, plan.parameters.days)
    columns.add(
        "_rank", "bigint", zipf_rank(uniform(seed, "_number", "product"), len(products), POPULARITY_SHIFT)
    )
    first_day = lookup([product.first_day for product in products], "_rank")
    last_day = lookup([product.last_day for product in products], "_rank")
    columns.add("_product", "bigint", f"IF(_day BETWEEN {first_day} AND {last_day}, _rank, _rank - 1)")
    base = lookup([product.base_price for product in products], "_product")
    price = f"{base} * (1 + {PRICE_VARIATION} * {normal(seed, '_number', 'price')})"
    highest = int(config.max_price * 100) / 100
    columns.add("_price", "decimal(10,2)", f"least(greatest({price}, {MIN_PRICE}D), {highest!r}D)")
    columns.add_choice("_drawn_quantity", QUANTITY_WEIGHTS, "_number")
    columns.add("_quantity", "int", f"least(_drawn_quantity, {config.max_quantity})")
    columns.add_choice("_status", STATUS_WEIGHTS, "_number")
    for name in ("name", "product_id", "category"):
        listed = [getattr(product, name) for product in products]
        columns.add(f"_{name}", "string", lookup(listed, "_product"))


def _order_fields(quantity: str, status: str) -> dict[str, str]:
    return {
        "order_id": faulty(quoted(f"concat('O', {padded('(_number + 1)', 8)})"), null_key="'null'"),
        "customer_id": quoted(customer_id("_customer")),
        "product_id": quoted("_product_id"),
        "product_name": quoted(faulty("_name", non_utf8=f"concat(_name, ' D', {BYTE}, 'luxe')")),
        "category": quoted("_category"),
        "price": faulty("cast(_price AS STRING)", bad_format=quoted("replace(_price, '.', ',')")),
        "quantity": faulty(f"cast({quantity} AS STRING)", out_of_range=f"cast(-{quantity} AS STRING)"),
        "status": quoted(faulty(status, unknown_status="'teleported'")),
        "order_timestamp": quoted(faulty(event_time("_seconds"), future_date=FAR_FUTURE)),
    }


def _sessions(columns: Columns, config: LakehouseConfig, plan: BatchPlan) -> None:
    seed = plan.parameters.seed
    # Numbers of orders and sessions are alike; another sign keeps their draws apart.
    columns.add("_session", "bigint", "-1 - _number")
    add_event_seconds(columns, plan, plan.customer_activity.lines, "_session")
    columns.add("_day", "bigint", f"_seconds div {DAY_SECONDS}")
    add_active_customer(columns, plan, "_session")
    length = f"round({SESSION_MEAN} + {SESSION_DEVIATION} * {normal(seed, '_session', 'duration')})"
    columns.add("_duration", "int", f"greatest({length}, {SESSION_MINIMUM})")
    views = f"floor(_duration / 60 * (0.5 + {uniform(seed, '_session', 'views')}))"
    columns.add("_views", "int", f"1 + {views}")
    columns.add("_adds", "int", f"floor((_views + 1) * pow({uniform(seed, '_session', 'adds')}, 4) * 0.8)")
    columns.add_choice("_usual_device", DEVICE_WEIGHTS, "_customer")
    columns.add_choice("_other_device", DEVICE_WEIGHTS, "_session")
    usual = f"{uniform(seed, '_session', 'keeps_device')} < 0.8"
    columns.add("_device", "string", f"IF({usual}, _usual_device, _other_device)")
    session_id = f"concat('S', {padded('(_number + 1)', 8)})"
    spoilt_id = f"concat({session_id}, {BYTE})"
    add_line(
        columns,
        {
            "session_id": faulty(quoted(faulty(session_id, non_utf8=spoilt_id)), null_key="'null'"),
            "customer_id": quoted(customer_id("_customer")),
            "session_timestamp": quoted(faulty(event_time("_seconds"), future_date=FAR_FUTURE)),
            "session_duration_seconds": faulty(
                "cast(_duration AS STRING)",
                bad_format=quoted("concat(_duration div 60, ' min ', _duration % 60, ' s')"),
            ),
            "page_views": faulty("cast(_views AS STRING)", out_of_range="cast(-_views AS STRING)"),
            "cart_adds": "cast(_adds AS STRING)",
            "device_type": quoted(faulty("_device", unknown_status="'smart_fridge'")),
        },
        '"app_version":"2.1.0"',
        seed,
    )


def _profiles(columns: Columns, config: LakehouseConfig, plan: BatchPlan) -> None:
    seed, lines = plan.parameters.seed, plan.customer_profiles.lines
    newcomers = lines if plan.batch == 0 else plan.new_customers_daily
    columns.add("_update", "boolean", f"_source >= {newcomers}L", output=True)
    known = updated_customer(plan, f"(_source - {newcomers}L)")
    columns.add("_customer", "bigint", f"IF(_update, {known}, _number)")
    columns.add("_signup", "bigint", joined_seconds(plan, "_customer"))
    today = f"{plan.first_day * DAY_SECONDS}L + _source * {DAY_SECONDS}L div {lines}L"
    columns.add("_updated", "bigint", "_signup" if plan.batch == 0 else today)
    columns.add(
        "_age", "int", f"least(greatest(round(41 + 14 * {normal(seed, '_customer', 'age')}), 18), 90)"
    )
    columns.add_choice("_gender", GENDER_WEIGHTS, "_customer")
    columns.add_choice("_country", COUNTRY_WEIGHTS, "_customer")
    columns.add_choice("_tier", TIER_WEIGHTS, f"_customer, {plan.batch}L")
    points = hashed(seed, f"_customer, {plan.batch}L", "points")
    columns.add("_points", "int", f"CASE _tier {_tier_points(points)} END")
    address = f"concat('customer', {padded('(_customer + 1)', 6)}, '@example.com')"
    spoilt_country = f"concat('C', cast(X'F4' AS STRING), 'te d', {BYTE}, 'Ivoire')"
    add_line(
        columns,
        {
            "customer_id": faulty(quoted(customer_id("_customer")), null_key="'null'"),
            "email": quoted(faulty(address, bad_format=f"replace({address}, '@', ' at ')")),
            "age": faulty("cast(_age AS STRING)", out_of_range="cast(_age + 200 AS STRING)"),
            "gender": quoted("_gender"),
            "country": quoted(faulty("_country", non_utf8=spoilt_country)),
            "signup_date": quoted(f"left({event_time('_signup')}, 10)"),
            "loyalty_tier": quoted(faulty("_tier", unknown_status="'diamond'")),
            "loyalty_points": "cast(_points AS STRING)",
            "updated_at": quoted(faulty(event_time("_updated"), future_date=FAR_FUTURE)),
        },
        '"newsletter":true',
        seed,
    )


def _tier_points(draw: str) -> str:
    """SQL branches: bronze below 1,000 points, silver below 2,000, and so on."""
    return " ".join(
        f"WHEN '{tier}' THEN {step * 1000} + pmod({draw}, 1000L)" for step, tier in enumerate(LOYALTY_TIERS)
    )
