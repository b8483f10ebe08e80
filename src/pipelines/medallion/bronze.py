"""Bronze: the lines of orders and customer profiles, as they arrived."""

from ecommerce_lakehouse.config import get_config, log_pipeline_config
from ecommerce_lakehouse.domain.entities import CUSTOMER_PROFILES, ORDERS
from ecommerce_lakehouse.quality.datasets import declare_bronze

config = get_config()
log_pipeline_config(config)

declare_bronze(ORDERS, config)
declare_bronze(CUSTOMER_PROFILES, config)
