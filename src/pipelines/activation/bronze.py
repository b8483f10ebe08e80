"""Bronze: the lines of consents, devices, households and their members, as they arrived."""

from ecommerce_lakehouse.config import get_config, log_pipeline_config
from ecommerce_lakehouse.domain.entities import (
    HOUSEHOLD_MEMBERS,
    HOUSEHOLDS,
    MARKETING_CONSENTS,
    PUSH_DEVICES,
)
from ecommerce_lakehouse.quality.datasets import declare_bronze

config = get_config()
log_pipeline_config(config)

declare_bronze(MARKETING_CONSENTS, config)
declare_bronze(PUSH_DEVICES, config)
declare_bronze(HOUSEHOLDS, config)
declare_bronze(HOUSEHOLD_MEMBERS, config)
