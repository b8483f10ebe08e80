"""Silver: orders and customers, typed, checked, one row per key; lines that break rules are in quarantine."""

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import CUSTOMER_PROFILES, ORDERS
from ecommerce_lakehouse.quality.datasets import declare_silver

config = get_config()

declare_silver(ORDERS, config, z_order=["order_date", "customer_id", "category"])
declare_silver(CUSTOMER_PROFILES, config, z_order=["customer_id"])
