"""The deployed lakehouse after `databricks bundle run e2e_pipeline_job`.

Against a real workspace, in an environment of its own, since databricks-connect replaces pyspark's files:

    UV_PROJECT_ENVIRONMENT=.venv-connect uv run --no-group local --extra connect pytest tests/workspace_live

Against the local workspace the part without Spark: `uv run pytest tests/workspace_live`. Both take
DATABRICKS_HOST and the SDK's other variables. The tests only read, and run only if this folder is named.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.workspace_live.conftest import PIPELINES, Deployment

ENTITIES = ("orders", "customers", "customer_activity")


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_last_update_of_a_pipeline_completed(deployment: Deployment, pipeline: str) -> None:
    updates = deployment.client.pipelines.list_updates(deployment.pipeline_ids[pipeline]).updates or []
    assert updates, f"{pipeline} has not run yet: databricks bundle run e2e_pipeline_job"
    assert updates[0].state.value == "COMPLETED"


def test_unity_catalog_lists_every_layer(deployment: Deployment) -> None:
    tables = {table.name for table in deployment.client.tables.list(deployment.catalog, deployment.schema)}
    expected = {f"{layer}_orders" for layer in ("bronze", "silver", "quarantine")}
    expected |= {"gold_daily_sales", "feature_lifetime_value", "event_log_medallion_dlt_pipeline"}
    assert expected <= tables


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_line_ends_in_exactly_one_place(deployment: Deployment, entity: str) -> None:
    tables = (f"silver_{entity}_parsed", f"silver_{entity}", f"quarantine_{entity}")
    counts = [
        int(deployment.query(f"SELECT count(*) FROM {table}")[0][0] or 0)
        for table in (*tables, f"silver_{entity}_duplicates")
    ]
    parsed, *places = counts
    assert parsed > 0
    assert sum(places) == parsed


def test_daily_sales_are_those_of_the_orders(deployment: Deployment) -> None:
    purchases = "SELECT count(*) FROM silver_orders WHERE status NOT IN ('cancelled', 'returned')"
    assert deployment.query("SELECT sum(orders) FROM gold_daily_sales") == deployment.query(purchases)


def test_spark_connect_sees_what_the_sql_warehouse_sees(deployment: Deployment, connect: Any) -> None:
    from ecommerce_lakehouse.transforms.sales import daily_sales

    table = connect.table(f"{deployment.catalog}.{deployment.schema}.silver_orders")
    assert str(table.count()) == deployment.query("SELECT count(*) FROM silver_orders")[0][0]
    # The pure functions of the wheel run on Connect as they run in the pipeline.
    days = daily_sales(table).count()
    assert str(days) == deployment.query("SELECT count(*) FROM gold_daily_sales")[0][0]
