"""Which tables maintenance leaves alone on Databricks, and why; without Spark."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import Row

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.observability import maintenance
from ecommerce_lakehouse.observability.lakehouse import StoredTable, UnityCatalog


@pytest.fixture
def deployed() -> LakehouseConfig:
    """Settings as they are on Databricks, where there is a catalog."""
    return get_config("prod").model_copy(update={"on_databricks": True, "tables_root": None})


class Catalog:
    """Stands in for Databricks' catalog, which cannot be run here: answers one query, refuses the rest."""

    def __init__(self, *tables: tuple[str, str], refusal: str = "") -> None:
        self.tables, self.refusal, self.asked = tables, refusal, list[str]()

    def sql(self, text: str) -> Any:
        self.asked.append(text)
        if "information_schema.tables" in text:
            rows = [Row(table_name=name, table_type=kind) for name, kind in self.tables]
            return SimpleNamespace(collect=lambda: rows)
        raise AnalysisException(self.refusal, errorClass=self.refusal, messageParameters={})


def test_the_catalog_has_the_tables_of_the_schema_and_their_types(deployed: LakehouseConfig) -> None:
    spark: Any = Catalog(("maintenance_log", "MANAGED"), ("silver_orders", "STREAMING_TABLE"))
    assert UnityCatalog(deployed, spark).tables() == [
        StoredTable("maintenance_log", "`prod`.`data_eng`.`maintenance_log`", "MANAGED"),
        StoredTable("silver_orders", "`prod`.`data_eng`.`silver_orders`", "STREAMING_TABLE"),
    ]
    (asked,) = spark.asked
    assert "FROM `prod`.information_schema.tables WHERE table_schema = 'data_eng'" in asked


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("STREAMING_TABLE", "its pipeline and predictive optimization maintain it"),
        ("MATERIALIZED_VIEW", "its pipeline and predictive optimization maintain it"),
        ("VIEW", "nothing to maintain in a VIEW"),
        ("FOREIGN", "nothing to maintain in a FOREIGN"),
    ],
)
def test_a_table_that_is_not_ours_to_maintain_gets_no_command(
    deployed: LakehouseConfig, kind: str, reason: str
) -> None:
    spark: Any = Catalog()
    table = StoredTable("t", UnityCatalog(deployed).reference("t"), kind)
    outcome = maintenance._maintain(spark, deployed, table)
    assert (outcome.status, outcome.reason, spark.asked) == ("SKIPPED", reason, [])


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("STREAMING_TABLE_OPERATION_NOT_ALLOWED.UNSUPPORTED_OPERATION", "SKIPPED"),
        ("MATERIALIZED_VIEW_OPERATION_NOT_ALLOWED.UNSUPPORTED_OPERATION", "SKIPPED"),
        ("INSUFFICIENT_PERMISSIONS", "FAILED"),
    ],
)
def test_what_databricks_refuses_for_a_pipelines_table_is_skipped_and_all_else_fails(
    deployed: LakehouseConfig, condition: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnalysisException, "getCondition", lambda self: condition)
    outcome = maintenance._maintain(
        Catalog(refusal=condition),  # type: ignore[arg-type]
        deployed,
        StoredTable("event_log_x", "t", "MANAGED"),
    )
    assert outcome.status == status
    assert outcome.reason


def test_a_clustered_table_is_never_z_ordered_and_a_partition_column_neither() -> None:
    def layout(clustering: list[str], partitions: list[str], z_order: str) -> str:
        detail: Any = {
            "clusteringColumns": clustering,
            "partitionColumns": partitions,
            "properties": {"pipelines.autoOptimize.zOrderCols": z_order},
        }
        return maintenance._layout(detail)

    assert layout(["day"], [], "id") == "CLUSTER BY (day)"
    assert layout([], ["day"], "day, id") == "ZORDER BY (`id`)"
    assert layout([], ["day"], "day") == "COMPACT"
    assert layout([], [], "") == "COMPACT"
