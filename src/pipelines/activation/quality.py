"""Checks of activation's datasets as a whole, and that none of their lines is lost."""

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ACTIVATED
from ecommerce_lakehouse.quality.datasets import declare_quality

declare_quality("activation", list(ACTIVATED.values()), get_config())
