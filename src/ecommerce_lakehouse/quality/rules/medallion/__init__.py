"""Rules of the pipeline in `src/pipelines/medallion`: `rules`."""

from __future__ import annotations

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.quality.rule import RuleSet
from ecommerce_lakehouse.quality.rules.medallion.gold import figures
from ecommerce_lakehouse.quality.rules.medallion.silver import customers, orders


def rules(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules by dataset."""
    return orders(config) | customers(config) | figures()
