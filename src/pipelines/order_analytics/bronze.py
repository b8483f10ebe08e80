"""Bronze: the lines of order batches, each file once, as they arrived."""

from ecommerce_lakehouse.config import get_config, log_pipeline_config
from ecommerce_lakehouse.domain.entities import ORDER_BATCHES
from ecommerce_lakehouse.quality.datasets import declare_bronze

config = get_config()
log_pipeline_config(config)

declare_bronze(ORDER_BATCHES, config)
