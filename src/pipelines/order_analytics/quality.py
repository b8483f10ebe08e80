"""What checks the datasets of order batches as wholes, and that no line of them is lost."""

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDER_BATCHES
from ecommerce_lakehouse.quality.datasets import declare_quality

declare_quality("order_analytics", [ORDER_BATCHES], get_config())
