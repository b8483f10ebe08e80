"""Checks of the features and their source as a whole, and that no line of activity is lost."""

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import CUSTOMER_ACTIVITY
from ecommerce_lakehouse.quality.datasets import declare_quality

declare_quality("ml_features", [CUSTOMER_ACTIVITY], get_config())
