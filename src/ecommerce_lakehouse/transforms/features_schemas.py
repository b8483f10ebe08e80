"""Columns and primary keys of the feature tables, as Unity Catalog takes them: `feature_schema`.

The function that computes a measure documents its meaning, range and source.
"""

from __future__ import annotations

FEATURE_KEYS = {
    "customer_engagement": ("customer_id", "as_of"),
    "device_preference": ("customer_id", "as_of"),
    "purchase_behaviour": ("customer_id", "as_of"),
    "churn_risk": ("customer_id", "as_of"),
    "lifetime_value": ("customer_id", "as_of"),
    "product_copurchase": ("product_id", "other_product_id", "as_of"),
}

_CUSTOMER_AS_OF = """
    customer_id STRING NOT NULL,
    as_of TIMESTAMP NOT NULL"""

FEATURE_COLUMNS = {
    "customer_engagement": f"""{_CUSTOMER_AS_OF},
    sessions BIGINT,
    page_views BIGINT,
    cart_adds BIGINT,
    session_seconds BIGINT,
    sessions_28d BIGINT,
    page_views_28d BIGINT,
    cart_adds_28d BIGINT,
    session_seconds_28d BIGINT,
    engagement_score_28d DOUBLE,
    engagement_segment_28d STRING,
    engagement_score DOUBLE,
    engagement_segment STRING""",
    "device_preference": f"""{_CUSTOMER_AS_OF},
    sessions BIGINT,
    mobile_share DOUBLE,
    desktop_share DOUBLE,
    tablet_share DOUBLE,
    preferred_device STRING,
    preferred_device_share DOUBLE,
    devices_used INT,
    is_multi_device BOOLEAN,
    preferred_device_28d STRING,
    devices_used_28d INT""",
    "purchase_behaviour": f"""{_CUSTOMER_AS_OF},
    orders BIGINT,
    units BIGINT,
    spend DECIMAL(28,2),
    orders_28d BIGINT,
    spend_28d DECIMAL(28,2),
    average_order_value DOUBLE,
    average_units DOUBLE,
    average_days_between_orders DOUBLE,
    categories BIGINT,
    category_diversity DOUBLE,
    favourite_category STRING,
    favourite_category_share DOUBLE,
    night_share DOUBLE,
    morning_share DOUBLE,
    afternoon_share DOUBLE,
    evening_share DOUBLE,
    weekend_share DOUBLE""",
    "churn_risk": f"""{_CUSTOMER_AS_OF},
    days_since_last_order DOUBLE,
    days_since_last_session DOUBLE,
    days_since_last_activity DOUBLE,
    tenure_days DOUBLE,
    orders_28d BIGINT,
    sessions_28d BIGINT,
    orders_previous_28d BIGINT,
    sessions_previous_28d BIGINT,
    activity_trend DOUBLE,
    churn_risk_score DOUBLE,
    churn_risk_band STRING""",
    "lifetime_value": f"""{_CUSTOMER_AS_OF},
    historical_value DECIMAL(28,2),
    orders BIGINT,
    average_order_value DOUBLE,
    tenure_days DOUBLE,
    orders_per_30_days DOUBLE,
    expected_orders_365d DOUBLE,
    predicted_value_365d DOUBLE""",
    "product_copurchase": """
    product_id STRING NOT NULL,
    other_product_id STRING NOT NULL,
    as_of TIMESTAMP NOT NULL,
    customers_both BIGINT,
    customers_product BIGINT,
    customers_other BIGINT,
    customers BIGINT,
    support DOUBLE,
    confidence DOUBLE,
    reverse_confidence DOUBLE,
    lift DOUBLE""",
}


def feature_schema(entity: str) -> str:
    """The DDL of a feature table: its columns and its primary key, whose last column is the time series.

    The key makes the table a feature table in Unity Catalog. Raises KeyError for an unknown entity.
    """
    keys = ", ".join(FEATURE_KEYS[entity])
    return f"{FEATURE_COLUMNS[entity]},\n    CONSTRAINT feature_{entity}_pk PRIMARY KEY ({keys} TIMESERIES)"
