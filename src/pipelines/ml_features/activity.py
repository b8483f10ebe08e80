"""Customer activity: the sessions that features are computed from, raw and cleaned."""

from ecommerce_lakehouse.config import get_config, log_pipeline_config
from ecommerce_lakehouse.domain.entities import CUSTOMER_ACTIVITY
from ecommerce_lakehouse.quality.datasets import declare_bronze, declare_silver

config = get_config()
log_pipeline_config(config)

declare_bronze(CUSTOMER_ACTIVITY, config)
declare_silver(CUSTOMER_ACTIVITY, config, z_order=["customer_id", "session_timestamp"])
