"""Checks of medallion's datasets as a whole, and that no line of orders and customers is lost."""

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import CUSTOMER_PROFILES, ORDERS
from ecommerce_lakehouse.quality.datasets import declare_quality

declare_quality("medallion", [ORDERS, CUSTOMER_PROFILES], get_config())
