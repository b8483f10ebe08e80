"""Silver: order batches, typed, checked, one row per order; lines that break a rule are in quarantine."""

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDER_BATCHES
from ecommerce_lakehouse.quality.datasets import declare_batch_silver

config = get_config()

declare_batch_silver(ORDER_BATCHES, config, z_order=["date_ordered", "customer_id"])
