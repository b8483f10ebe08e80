"""Who may read which table, and the statements that grant it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.errors import ParseException

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.governance.audience import audience_of
from ecommerce_lakehouse.governance.grants import grant, main, statements
from ecommerce_lakehouse.observability.lakehouse import StoredTable, UnityCatalog
from tests.integration.expected_rows import EXPECTED

# Every table of every pipeline but the checks of datasets: the expected rows prove that none is missing.
READERS = {
    "gold_customer_lifetime_value", "gold_customer_segments", "gold_daily_sales", "gold_data_quality_check",
    "gold_order_business_metrics", "gold_order_customer_analytics", "gold_order_item_sales",
    "gold_product_performance", "gold_realtime_metrics", "gold_rolling_sales",
    "gold_marketing_consents", "gold_order_events",
    "feature_churn_risk", "feature_customer_engagement", "feature_device_preference",
    "feature_lifetime_value", "feature_product_copurchase", "feature_purchase_behaviour",
}  # fmt: skip
PRIVATE = {
    "bronze_customer_activity", "bronze_customer_profiles", "bronze_order_batches", "bronze_orders",
    "silver_customer_activity", "silver_customer_activity_as_known", "silver_customer_activity_duplicates",
    "silver_customer_activity_parsed", "silver_customers", "silver_customers_duplicates",
    "silver_customers_history", "silver_customers_parsed", "silver_order_batches",
    "silver_order_batches_duplicates", "silver_order_batches_parsed", "silver_orders",
    "silver_orders_as_known", "silver_orders_duplicates", "silver_orders_parsed",
    "quarantine_customer_activity", "quarantine_customers", "quarantine_order_batches", "quarantine_orders",
    "quality_reconciliation_medallion", "quality_reconciliation_ml_features",
    "quality_reconciliation_order_analytics", "quality_reconciliation_activation",
    "gold_household_members",
    *[
        name
        for entity in ("household_members", "households", "marketing_consents", "push_devices")
        for name in (
            f"bronze_{entity}", f"silver_{entity}", f"silver_{entity}_duplicates", f"silver_{entity}_parsed",
            f"quarantine_{entity}",
        )
    ],
}  # fmt: skip


def test_readers_get_gold_and_the_features_and_nothing_else() -> None:
    assert set(EXPECTED) == READERS | PRIVATE
    assert {table for table in EXPECTED if audience_of(table) == "readers"} == READERS


@pytest.mark.parametrize(
    "table",
    [
        *("quality_checks_medallion", "event_log_ml_features_pipeline", "pipeline_events", "maintenance_log"),
        *("platinum_sales", "goldfish", "gold", "", "silver_gold_sales"),
    ],
)
def test_a_table_that_nobody_declared_for_readers_is_private(table: str) -> None:
    assert audience_of(table) == "personal_data"


def test_each_table_has_one_statement_for_its_kind_and_the_groups_name_is_quoted() -> None:
    tables = [
        StoredTable("gold_daily_sales", "`c`.`s`.`gold_daily_sales`", "MATERIALIZED_VIEW"),
        StoredTable("gold_realtime_metrics", "`c`.`s`.`gold_realtime_metrics`", "STREAMING_TABLE"),
        StoredTable("pipeline_events", "`c`.`s`.`pipeline_events`", "VIEW"),
        StoredTable("silver_customers", "`c`.`s`.`silver_customers`", "STREAMING_TABLE"),
    ]
    assert statements(tables, "the `readers`") == [
        "GRANT SELECT ON MATERIALIZED VIEW `c`.`s`.`gold_daily_sales` TO `the ``readers```",
        "GRANT SELECT ON TABLE `c`.`s`.`gold_realtime_metrics` TO `the ``readers```",
        "REVOKE SELECT ON VIEW `c`.`s`.`pipeline_events` FROM `the ``readers```",
        "REVOKE SELECT ON TABLE `c`.`s`.`silver_customers` FROM `the ``readers```",
    ]


class Catalog:
    """Stands in for Databricks' catalog, which cannot be run here; one of its tables is not ours."""

    def __init__(self) -> None:
        self.held: set[str] = set()

    def sql(self, text: str) -> Any:
        found = []
        if "information_schema.tables" in text:
            kinds = {"bronze_orders": "STREAMING_TABLE", "gold_a": "MATERIALIZED_VIEW", "gold_b": "VIEW"}
            found = [{"table_name": name, "table_type": kind} for name, kind in kinds.items()]
        elif "gold_b" in text:
            raise ParseException("not yours")
        elif text.startswith("GRANT"):
            self.held.add(text.split()[5])
        rows = [SimpleNamespace(asDict=lambda recursive, row=row: row) for row in found]
        return SimpleNamespace(collect=lambda: rows)


def test_a_second_run_changes_nothing_and_a_failure_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = get_config("prod").model_copy(update={"on_databricks": True, "tables_root": None})
    spark: Any = Catalog()
    for _ in range(2):
        assert grant(UnityCatalog(config, spark), "readers") == 1
        assert spark.held == {"`prod`.`data_eng`.`gold_a`"}
        revoked, granted, failed = capsys.readouterr().out.splitlines()
        assert revoked == "REVOKE SELECT ON TABLE `prod`.`data_eng`.`bronze_orders` FROM `readers`"
        assert granted == "GRANT SELECT ON MATERIALIZED VIEW `prod`.`data_eng`.`gold_a` TO `readers`"
        assert failed == ("GRANT SELECT ON VIEW `prod`.`data_eng`.`gold_b` TO `readers`: FAILED, not yours")


def test_on_a_laptop_the_task_says_that_nothing_was_granted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--environment", "local", "--readers-group", "readers"])
    assert capsys.readouterr().out == (
        "Nothing was granted in local.data_eng: no catalog keeps privileges here, all tables can be read.\n"
    )


def test_the_task_needs_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--readers-group", " "]):
        with pytest.raises(SystemExit) as stopped:
            main(["--environment", "local", *arguments])
        assert stopped.value.code == 2
        assert "--readers-group" in capsys.readouterr().err.splitlines()[-1]
