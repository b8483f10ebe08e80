"""Silver: what activation needs to know of customers, typed, checked, one row per key."""

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import (
    HOUSEHOLD_MEMBERS,
    HOUSEHOLDS,
    MARKETING_CONSENTS,
    PUSH_DEVICES,
)
from ecommerce_lakehouse.quality.datasets import declare_silver

config = get_config()

declare_silver(MARKETING_CONSENTS, config, z_order=["customer_id"])
declare_silver(PUSH_DEVICES, config, z_order=["customer_id"])
declare_silver(HOUSEHOLDS, config, z_order=["household_id"])
declare_silver(HOUSEHOLD_MEMBERS, config, z_order=["customer_id"])
