"""A shop of three buyers, small enough to work out every table by hand: raw lines and expected rows.

Values are written as text: money with its cents, days as `01-03`, times as `01-03 09:00`, of 2024, in UTC.
2024-01-01 is a Monday, and so a snapshot of the features is due on the 8th and on the 15th.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.integration.expected_activation import MORE_ARRIVALS, MORE_EXPECTED

Line = dict[str, Any]


def order(
    number: int, customer: str, product: str, quantity: int, time: str, status: str, **more: Any
) -> Line:
    """A book (P1) costs 10.00, a toy (P2) 5.00."""
    name, category, price = {"P1": ("Atlas", "books", 10.0), "P2": ("Kite", "toys", 5.0)}[product]
    return {
        "order_id": f"O{number}", "customer_id": customer, "product_id": product, "product_name": name,
        "category": category, "price": price, "quantity": quantity, "status": status,
        "order_timestamp": time, **more,
    }  # fmt: skip


def profile(customer: str, country: str, updated_at: str, signup: str = "2023-12-16") -> Line:
    return {
        "customer_id": customer, "email": f"{customer}@example.com", "age": 30, "gender": "other",
        "country": country, "signup_date": signup, "loyalty_tier": "gold", "loyalty_points": 5,
        "updated_at": updated_at,
    }  # fmt: skip


def session(number: int, customer: str, time: str, seconds: int, views: int, adds: int, device: str) -> Line:
    return {
        "session_id": f"S{number}", "customer_id": customer, "session_timestamp": time,
        "session_duration_seconds": seconds, "page_views": views, "cart_adds": adds, "device_type": device,
    }  # fmt: skip


def batched(number: int, item: str, price: float, items: int, status: str, time: str, customer: str) -> Line:
    return {
        "order_id": f"B{number}", "order_item": item, "price": price, "items_ordered": items,
        "status": status, "date_ordered": time[:10], "customer_id": customer, "order_timestamp": time,
    }  # fmt: skip


TOY = order(2, "c2", "P2", 1, "2024-01-04T10:00:00Z", "delivered")
TOYS = order(3, "c1", "P2", 3, "2024-01-06T20:00:00Z", "shipped")
BOOKS = order(1, "c1", "P1", 2, "2024-01-03T09:00:00Z", "pending")
# By folder: the lines that arrive before the first update, and before the second.
ARRIVALS: Mapping[str, tuple[list[Line | str], list[Line | str]]] = {
    "orders_raw": (
        [BOOKS, TOY, TOYS, order(9, "c2", "P1", 1, "2024-01-05 10:00:00 BST", "shipped")],
        [
            BOOKS | {"status": "cancelled", "updated_at": "2024-01-10T09:00:00Z"},
            TOY,
            # Made at the same time: the one that is further in an order's life is newer.
            TOYS | {"status": "delivered", "updated_at": "2024-01-09T08:00:00Z"},
            TOYS | {"status": "processing", "updated_at": "2024-01-09T08:00:00Z"},
            order(4, "c3", "P1", 1, "2024-01-15T00:00:00Z", "delivered"),
            '{"order_id": "O8", "order_id": "O7"}',
        ],
    ),
    "customer_profiles_raw": (
        [
            profile("c1", "DE", "2024-01-01T00:00:00Z"),
            profile("c2", "FR", "2024-01-02T00:00:00Z"),
            profile("c3", "JP", "2024-01-05T00:00:00Z"),
            *[profile(f"t{n}", "DE", "2024-01-02T00:00:00Z") for n in range(8)],
        ],
        [
            profile("c2", "FR", "2024-01-02T00:00:00Z"),
            profile("c3", "US", "2024-01-03T00:00:00Z"),  # older than what arrived before it
            # Made when the first ones were: one order of records has to choose.
            *[profile(f"t{n}", "FR", "2024-01-02T00:00:00Z") for n in range(8)],
        ],
    ),
    "customer_activity_raw": (
        [
            session(1, "c1", "2024-01-02T10:00:00Z", 300, 5, 1, "mobile"),
            session(2, "c1", "2024-01-05T10:00:00Z", 600, 10, 0, "desktop"),
            session(3, "c3", "2024-01-15T00:00:00Z", 60, 1, 0, "tablet"),
            session(4, "c3", "2024-01-14T00:00:00Z", -1, 1, 0, "tablet"),
        ],
        [],
    ),
    "orders/landing": (
        [
            batched(1, "Lamp", 10.0, 2, "delivered", "2024-01-03T10:00:00Z", "c1"),
            batched(2, "Lamp", 10.0, 1, "returned", "2024-01-03T11:00:00Z", "c2"),
            batched(3, "Vase", 5.5, 1, "cancelled", "2024-01-04T12:00:00Z", "c1")
            | {"updated_at": "2024-01-04T13:00:00Z"},
            # Arrives last, and was made last: the cancellation was a mistake.
            batched(3, "Vase", 5.5, 1, "shipped", "2024-01-04T12:00:00Z", "c1")
            | {"updated_at": "2024-01-05T00:00:00Z"},
            batched(4, "Vase", 5.5, 0, "shipped", "2024-01-04T12:00:00Z", "c1"),
        ],
        [],
    ),
} | MORE_ARRIVALS  # fmt: skip

# 2 sessions, 15 views, 1 add and 900 seconds, each x / (x + half).
SCORE = 0.4 * 2 / 6 + 0.3 * 15 / 35 + 0.2 * 1 / 3 + 0.1 * 900 / 2100
TIED = [f"t{n}" for n in range(8)]
BOUGHT_NOTHING = (0, "0.00", "0.00", None, None, 0)
# By table: the columns that are compared with these rows.
EXPECTED: Mapping[str, tuple[str, list[tuple[Any, ...]]]] = {
    # Medallion ------------------------------------------------------------------------------------------
    "bronze_orders": ("environment", [("local",)] * 10),
    "bronze_customer_profiles": ("environment", [("local",)] * 21),
    "silver_orders_parsed": (
        "order_id, status, cardinality(broken_rules)",
        [
            ("O1", "pending", 0), ("O1", "cancelled", 0), ("O2", "delivered", 0), ("O2", "delivered", 0),
            ("O3", "shipped", 0), ("O3", "delivered", 0), ("O3", "processing", 0), ("O4", "delivered", 0),
            ("O9", "shipped", 2), ("O8", None, 8),
        ],
    ),
    "silver_orders": (
        "order_id, status, quantity, total_order_value, order_date, recorded_at",
        [
            ("O1", "cancelled", 2, "20.00", "01-03", "01-10 09:00"),
            ("O2", "delivered", 1, "5.00", "01-04", "01-04 10:00"),
            ("O3", "delivered", 3, "15.00", "01-06", "01-09 08:00"),
            ("O4", "delivered", 1, "10.00", "01-15", "01-15 00:00"),
        ],
    ),
    "silver_orders_duplicates": (
        "order_id, status, newest_order_date",
        [
            ("O1", "pending", "01-03"), ("O2", "delivered", "01-04"), ("O3", "shipped", "01-06"),
            ("O3", "processing", "01-06"),
        ],
    ),
    "quarantine_orders": (
        "raw_text LIKE '%BST%', array_to_string(broken_rules, ' ')",
        [
            (True, "valid_order_timestamp order_not_in_future"),
            (
                False,
                "keys_given_once valid_customer_id valid_product_id valid_quantity valid_price valid_status "
                "valid_order_timestamp order_not_in_future",
            ),
        ],
    ),
    "silver_customers_parsed": (
        "customer_id, country",
        [
            ("c1", "DE"), ("c2", "FR"), ("c2", "FR"), ("c3", "JP"), ("c3", "US"),
            *[(customer, country) for customer in TIED for country in ("DE", "FR")],
        ],
    ),
    # Of the customers in TIED one of two countries stays: a test of its own looks at these.
    "silver_customers": (
        "customer_id, CASE WHEN customer_id LIKE 'c%' THEN country END, updated_at",
        [
            ("c1", "DE", "01-01 00:00"), ("c2", "FR", "01-02 00:00"), ("c3", "JP", "01-05 00:00"),
            *[(customer, None, "01-02 00:00") for customer in TIED],
        ],
    ),
    "silver_customers_duplicates": (
        "customer_id", [("c2",), ("c3",), *[(customer,) for customer in TIED]],
    ),
    "silver_customers_history": (
        "customer_id, CASE WHEN customer_id LIKE 'c%' THEN country END, updated_at, __END_AT IS NULL",
        [
            ("c1", "DE", "01-01 00:00", True), ("c2", "FR", "01-02 00:00", True),
            ("c3", "US", "01-03 00:00", False), ("c3", "JP", "01-05 00:00", True),
            *[(customer, None, "01-02 00:00", current) for customer in TIED for current in (True, False)],
        ],
    ),
    "quarantine_customers": ("raw_text", []),
    "gold_daily_sales": (
        "order_date, orders, customers, units, revenue, average_order_value, cancelled_orders, "
        "returned_orders, lost_value",
        [
            ("01-03", 0, 0, 0, "0.00", "0.00", 1, 0, "20.00"),
            ("01-04", 1, 1, 1, "5.00", "5.00", 0, 0, "0.00"),
            ("01-06", 1, 1, 3, "15.00", "15.00", 0, 0, "0.00"),
            ("01-15", 1, 1, 1, "10.00", "10.00", 0, 0, "0.00"),
        ],
    ),
    "gold_rolling_sales": (
        "metric_date, days_covered, orders_7d, customers_7d, units_7d, revenue_7d, average_order_value_7d, "
        "average_daily_revenue_7d, average_daily_orders_7d, cancelled_orders_7d, returned_orders_7d",
        [
            ("01-03", 1, 0, 0, 0, "0.00", "0.00", "0.00", 0.0, 1, 0),
            ("01-04", 2, 1, 1, 1, "5.00", "5.00", "2.50", 1 / 2, 1, 0),
            ("01-05", 3, 1, 1, 1, "5.00", "5.00", "1.67", 1 / 3, 1, 0),
            ("01-06", 4, 2, 2, 4, "20.00", "10.00", "5.00", 2 / 4, 1, 0),
            ("01-07", 5, 2, 2, 4, "20.00", "10.00", "4.00", 2 / 5, 1, 0),
            ("01-08", 6, 2, 2, 4, "20.00", "10.00", "3.33", 2 / 6, 1, 0),
            ("01-09", 7, 2, 2, 4, "20.00", "10.00", "2.86", 2 / 7, 1, 0),
            ("01-10", 7, 2, 2, 4, "20.00", "10.00", "2.86", 2 / 7, 0, 0),
            ("01-11", 7, 1, 1, 3, "15.00", "15.00", "2.14", 1 / 7, 0, 0),
            ("01-12", 7, 1, 1, 3, "15.00", "15.00", "2.14", 1 / 7, 0, 0),
            ("01-13", 7, 0, 0, 0, "0.00", "0.00", "0.00", 0.0, 0, 0),
            ("01-14", 7, 0, 0, 0, "0.00", "0.00", "0.00", 0.0, 0, 0),
            ("01-15", 7, 1, 1, 1, "10.00", "10.00", "1.43", 1 / 7, 0, 0),
        ],
    ),
    # The cancellation of the 10th comes after the watermark has closed the window of the 3rd.
    "gold_realtime_metrics": (
        "window_start, orders, units, revenue, average_order_value, largest_order_value, cancelled_orders, "
        "returned_orders",
        [
            ("01-03 09:00", 1, 2, "20.00", "20.00", "20.00", 0, 0),
            ("01-04 10:00", 1, 1, "5.00", "5.00", "5.00", 0, 0),
            ("01-06 20:00", 1, 3, "15.00", "15.00", "15.00", 0, 0),
        ],
    ),
    # Cuts of the buyers' last days 4, 6, 15: 4.8, 5.6, 7.8, 11.4; of their values 5, 10, 15: 7, 9, 11, 13.
    "gold_customer_segments": (
        "customer_id, total_orders, total_units, lifetime_value, cancelled_orders, recency_days, "
        "recency_score, frequency_score, monetary_score, rfm_score, rfm_segment, behavior_segment, "
        "lifecycle_stage, value_tier, customer_segment, frequency_segment, inactive_days, "
        "churn_risk_score, churn_risk",
        [
            ("c1", 1, 3, "15.00", 1, 9, 3, 1, 5, 9, "About To Sleep", "One-Time Buyer", "New", "High",
             "Basic", "Occasional", 9, 9 / 60, "Low"),
            ("c2", 1, 1, "5.00", 0, 11, 1, 1, 1, 3, "Hibernating", "One-Time Buyer", "New", "Low",
             "Basic", "Occasional", 11, 11 / 60, "Low"),
            ("c3", 1, 1, "10.00", 0, 0, 5, 1, 3, 9, "New Customers", "One-Time Buyer", "New", "Medium",
             "Basic", "Occasional", 0, 0.0, "Low"),
            *[(customer, 0, 0, "0.00", 0, None, 0, 0, 0, 0, "Prospect", "No Purchase", "Prospect", "None",
               "Basic", "Occasional", 30, 30 / 60, "Medium") for customer in TIED],
        ],
    ),
    # The prediction: value x 365 x (60 - days of silence) / (60 x 30).
    "gold_customer_lifetime_value": (
        "customer_id, total_orders, historical_value, average_order_value, first_order_date, "
        "last_order_date, tenure_days, purchases_per_30_days, expected_lifespan_days, predicted_value, "
        "total_value",
        [
            ("c1", 1, "15.00", "15.00", "01-06", "01-06", 9, 1.0, 365 * 51 / 60, "155.13", "170.13"),
            ("c2", 1, "5.00", "5.00", "01-04", "01-04", 11, 1.0, 365 * 49 / 60, "49.68", "54.68"),
            ("c3", 1, "10.00", "10.00", "01-15", "01-15", 0, 1.0, 365.0, "121.67", "131.67"),
            *[(customer, *BOUGHT_NOTHING, 0.0, 0.0, "0.00", "0.00") for customer in TIED],
        ],
    ),
    "gold_product_performance": (
        "product_id, product_name, category, orders, buyers, units, revenue, popularity_score, min_price, "
        "max_price, average_price, price_variance, price_stability, cancelled_orders, returned_orders, "
        "returns_rate, first_order_date, last_order_date, recent_units, previous_units, lifecycle_stage",
        [
            ("P1", "Atlas", "books", 1, 1, 1, "10.00", 0.7 + 0.3, "10.00", "10.00", "10.00", 0.0, 1.0,
             1, 0, 0.0, "01-03", "01-15", 1, 0, "Introduction"),
            ("P2", "Kite", "toys", 2, 2, 4, "20.00", 2 * 0.7 + 4 * 0.3, "5.00", "5.00", "5.00", 0.0, 1.0,
             0, 0, 0.0, "01-04", "01-06", 4, 0, "Introduction"),
        ],
    ),
    "gold_data_quality_check": (
        "silver_orders, quarantined_orders, duplicate_orders, customers, latest_order_timestamp, "
        "quarantine_rate",
        [(4, 2, 4, 11, "01-15 00:00", 2 / 10)],
    ),
    "quality_reconciliation_medallion": (
        "entity, input, good, quarantined, duplicates, difference, same_lines, same_reasons, same_newest",
        [
            ("orders", 10, 4, 2, 4, 0, True, True, True),
            ("customer_profiles", 21, 11, 0, 10, 0, True, True, True),
        ],
    ),
    # Features -------------------------------------------------------------------------------------------
    "bronze_customer_activity": ("environment", [("local",)] * 4),
    "silver_customer_activity_parsed": (
        "session_id, cardinality(broken_rules)", [("S1", 0), ("S2", 0), ("S3", 0), ("S4", 1)],
    ),
    "silver_customer_activity": ("session_id, customer_id", [("S1", "c1"), ("S2", "c1"), ("S3", "c3")]),
    "silver_customer_activity_duplicates": ("session_id", []),
    "quarantine_customer_activity": (
        "array_to_string(broken_rules, ' ')", [("valid_session_duration",)],
    ),
    "silver_orders_as_known": (
        "order_id, customer_id, total_order_value, is_purchase, known_from, known_until, newest_at",
        [
            ("O1", "c1", "20.00", True, "01-03 09:00", "01-10 09:00", "01-10 09:00"),
            ("O1", "c1", "20.00", False, "01-10 09:00", None, "01-10 09:00"),
            ("O2", "c2", "5.00", True, "01-04 10:00", None, "01-04 10:00"),
            ("O3", "c1", "15.00", True, "01-06 20:00", None, "01-09 08:00"),
            ("O4", "c3", "10.00", True, "01-15 00:00", None, "01-15 00:00"),
        ],
    ),
    "silver_customer_activity_as_known": (
        "session_id, known_from, known_until",
        [("S1", "01-02 10:00", None), ("S2", "01-05 10:00", None), ("S3", "01-15 00:00", None)],
    ),
    # The order and the session of midnight on the 15th belong to the snapshot after it, which is not due.
    "feature_purchase_behaviour": (
        "customer_id, as_of, orders, units, spend, orders_28d, spend_28d, average_order_value, "
        "average_units, average_days_between_orders, categories, category_diversity, favourite_category, "
        "favourite_category_share, night_share, morning_share, afternoon_share, evening_share, weekend_share",
        [
            ("c1", "01-08 00:00", 2, 5, "35.00", 2, "35.00", 17.5, 2.5, 3 + 11 / 24, 2, 0.5, "books", 0.5,
             0.0, 0.5, 0.0, 0.5, 0.5),
            ("c1", "01-15 00:00", 1, 3, "15.00", 1, "15.00", 15.0, 3.0, None, 1, 0.0, "toys", 1.0,
             0.0, 0.0, 0.0, 1.0, 1.0),
            *[("c2", as_of, 1, 1, "5.00", 1, "5.00", 5.0, 1.0, None, 1, 0.0, "toys", 1.0,
               0.0, 1.0, 0.0, 0.0, 0.0) for as_of in ("01-08 00:00", "01-15 00:00")],
        ],
    ),
    "feature_lifetime_value": (
        "customer_id, as_of, historical_value, orders, average_order_value, tenure_days, "
        "orders_per_30_days, expected_orders_365d, predicted_value_365d",
        [
            ("c1", "01-08 00:00", "35.00", 2, 17.5, 4 + 15 / 24, 2.0, 365 * 2 / (94 + 15 / 24),
             17.5 * 365 * 2 / (94 + 15 / 24)),
            ("c1", "01-15 00:00", "15.00", 1, 15.0, 8 + 4 / 24, 1.0, 365 / (98 + 4 / 24),
             15 * 365 / (98 + 4 / 24)),
            ("c2", "01-08 00:00", "5.00", 1, 5.0, 3 + 14 / 24, 1.0, 365 / (93 + 14 / 24),
             5 * 365 / (93 + 14 / 24)),
            ("c2", "01-15 00:00", "5.00", 1, 5.0, 10 + 14 / 24, 1.0, 365 / (100 + 14 / 24),
             5 * 365 / (100 + 14 / 24)),
        ],
    ),
    "feature_churn_risk": (
        "customer_id, as_of, days_since_last_order, days_since_last_session, days_since_last_activity, "
        "tenure_days, orders_28d, sessions_28d, orders_previous_28d, sessions_previous_28d, "
        "activity_trend, churn_risk_score, churn_risk_band",
        [
            ("c1", "01-08 00:00", 1 + 4 / 24, 2 + 14 / 24, 1 + 4 / 24, 5 + 14 / 24, 2, 2, 0, 0, 1.0,
             0.7 * (1 + 4 / 24) / 60, "low"),
            ("c1", "01-15 00:00", 8 + 4 / 24, 9 + 14 / 24, 8 + 4 / 24, 12 + 14 / 24, 1, 2, 0, 0, 1.0,
             0.7 * (8 + 4 / 24) / 60, "low"),
            ("c2", "01-08 00:00", 3 + 14 / 24, None, 3 + 14 / 24, 3 + 14 / 24, 1, 0, 0, 0, 1.0,
             0.7 * (3 + 14 / 24) / 60, "low"),
            ("c2", "01-15 00:00", 10 + 14 / 24, None, 10 + 14 / 24, 10 + 14 / 24, 1, 0, 0, 0, 1.0,
             0.7 * (10 + 14 / 24) / 60, "low"),
        ],
    ),
    "feature_customer_engagement": (
        "customer_id, as_of, sessions, page_views, cart_adds, session_seconds, sessions_28d, "
        "engagement_score_28d, engagement_segment_28d, engagement_score, engagement_segment",
        [
            ("c1", as_of, 2, 15, 1, 900, 2, SCORE, "medium", SCORE, "medium")
            for as_of in ("01-08 00:00", "01-15 00:00")
        ],
    ),
    "feature_device_preference": (
        "customer_id, as_of, sessions, mobile_share, desktop_share, tablet_share, preferred_device, "
        "preferred_device_share, devices_used, is_multi_device, preferred_device_28d, devices_used_28d",
        [
            ("c1", as_of, 2, 0.5, 0.5, 0.0, "mobile", 0.5, 2, True, "mobile", 2)
            for as_of in ("01-08 00:00", "01-15 00:00")
        ],
    ),
    "feature_product_copurchase": (
        "product_id, other_product_id, as_of, customers_both, customers_product, customers_other, "
        "customers, support, confidence, reverse_confidence, lift",
        [
            ("P1", "P2", "01-08 00:00", 1, 1, 2, 2, 0.5, 1.0, 0.5, 1.0),
            ("P1", "P2", "01-15 00:00", 0, 0, 2, 2, 0.0, None, 0.0, None),
        ],
    ),
    "quality_reconciliation_ml_features": (
        "entity, input, good, quarantined, duplicates, difference, same_newest",
        [("customer_activity", 4, 3, 1, 0, 0, True)],
    ),
    # Order batches --------------------------------------------------------------------------------------
    "bronze_order_batches": ("environment", [("local",)] * 5),
    "silver_order_batches_parsed": (
        "order_id, cardinality(broken_rules)", [("B1", 0), ("B2", 0), ("B3", 0), ("B3", 0), ("B4", 1)],
    ),
    "silver_order_batches": (
        "order_id, status, order_value, date_ordered",
        [
            ("B1", "delivered", "20.00", "01-03"), ("B2", "returned", "10.00", "01-03"),
            ("B3", "shipped", "5.50", "01-04"),
        ],
    ),
    "silver_order_batches_duplicates": ("order_id, status", [("B3", "cancelled")]),
    "quarantine_order_batches": ("array_to_string(broken_rules, ' ')", [("valid_items_ordered",)]),
    "gold_order_business_metrics": (
        "date_ordered, orders, items_sold, revenue, customers, average_order_value, unearning_orders, "
        "unearning_share",
        [
            ("01-03", 1, 2, "20.00", 1, "20.00", 1, 0.5),
            ("01-04", 1, 1, "5.50", 1, "5.50", 0, 0.0),
        ],
    ),
    "gold_order_customer_analytics": (
        "customer_id, orders, items_bought, revenue, average_order_value, first_order_date, "
        "last_order_date, recency_days, favourite_item, revenue_share, revenue_rank",
        [
            ("c1", 2, 3, "25.50", "12.75", "01-03", "01-04", 0, "Lamp", 1.0, 1),
            ("c2", 0, 0, "0.00", "0.00", "01-03", "01-03", 1, None, 0.0, 2),
        ],
    ),
    "gold_order_item_sales": (
        "order_item, orders, items_sold, revenue, customers, average_price",
        [("Lamp", 1, 2, "20.00", 1, "10.00"), ("Vase", 1, 1, "5.50", 1, "5.50")],
    ),
    "quality_reconciliation_order_analytics": (
        "entity, input, good, quarantined, duplicates, difference, same_newest",
        [("order_batches", 5, 3, 1, 1, 0, True)],
    ),
} | MORE_EXPECTED  # fmt: skip
