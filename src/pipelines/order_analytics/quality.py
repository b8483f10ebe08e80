"""Checks of the datasets of order batches as a whole, and that none of their lines is lost."""

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDER_BATCHES
from ecommerce_lakehouse.quality.datasets import declare_quality

declare_quality("order_analytics", [ORDER_BATCHES], get_config())
