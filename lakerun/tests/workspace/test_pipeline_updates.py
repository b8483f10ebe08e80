"""Updates of deployed pipelines: on real Spark, in a worker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk.errors import InvalidParameterValue, NotFound, ResourceConflict
from deltalake import DeltaTable
from playwright.sync_api import Browser, expect

from workspace.run_lab import FOLDER, TOKEN, Lab, result, serving

ORDERS = """
from pyspark import pipelines as dp
from pyspark.sql import SparkSession

spark = SparkSession.active()


@dp.materialized_view(name="shop.sales.orders")
@dp.expect_or_drop("priced", "price > 0")
def orders():
    return spark.range(10).selectExpr("id", "id - 2 AS price")


@dp.materialized_view(name="shop.sales.revenue")
def revenue():
    return spark.read.table("shop.sales.orders").selectExpr("sum(price) AS total")
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with serving(tmp_path_factory.mktemp("updates")) as running:
        yield running


@pytest.fixture(scope="module")
def orders(lab: Lab) -> str:
    """A pipeline of two tables, deployed as from a bundle."""
    lab.file("orders/tables.py", ORDERS)
    return _pipeline(lab, "orders")


@pytest.fixture(scope="module")
def first_update(lab: Lab, orders: str) -> dict[str, Any]:
    """The pipeline's first update, after its end."""
    return _ended(lab, orders, _start(lab, orders))


def test_an_update_computes_the_tables_and_counts_rows_and_expectations(
    lab: Lab, orders: str, first_update: dict[str, Any]
) -> None:
    assert first_update["state"] == "COMPLETED"
    # Prices are -2 .. 7: seven are above 0, and 1 + 2 + .. + 7 is 28.
    table = DeltaTable(str(lab.services.storage.tables_root / "shop" / "sales" / "revenue"))
    assert table.to_pyarrow_table().to_pylist() == [{"total": 28}]
    (found,) = [d for d in first_update["result"]["datasets"] if d["name"] == "shop.sales.orders"]
    assert (found["rows_written"], found["rows_dropped"]) == (7, 3)
    assert [(e["name"], e["passed"], e["failed"]) for e in found["expectations"]] == [("priced", 7, 3)]
    pipeline = lab.client.pipelines.get(orders)
    assert pipeline.state is not None
    assert pipeline.state.value == "IDLE"
    assert pipeline.latest_updates is not None
    assert pipeline.latest_updates[0].update_id == first_update["update_id"]


def test_events_are_filtered_and_paged(lab: Lab, orders: str, first_update: dict[str, Any]) -> None:
    update_id = first_update["update_id"]
    everything = list(lab.client.pipelines.list_pipeline_events(orders, filter=f"update_id = '{update_id}'"))
    paged = list(
        lab.client.pipelines.list_pipeline_events(orders, filter=f"update_id = '{update_id}'", max_results=3)
    )
    assert [event.id for event in paged] == [event.id for event in everything]
    assert len(everything) > 6
    times = [event.timestamp or "" for event in everything]
    assert times == sorted(times, reverse=True)
    rising = lab.call("GET", f"/api/2.0/pipelines/{orders}/events", order_by="timestamp asc", max_results=1)
    assert rising["events"][0]["event_type"] == "create_update"
    assert {event.origin.update_id for event in everything if event.origin} == {update_id}
    after = f"timestamp > '{times[2]}' AND update_id = '{update_id}'"
    assert len(list(lab.client.pipelines.list_pipeline_events(orders, filter=after))) == 2
    assert list(lab.client.pipelines.list_pipeline_events(orders, filter="level = 'ERROR'")) == []
    for wrong in ("colour = 'red'", "level =", "level = 'INFO' AND", "timestamp > 'noon'"):
        with pytest.raises(InvalidParameterValue, match="filter"):
            list(lab.client.pipelines.list_pipeline_events(orders, filter=wrong))


def test_a_second_update_is_refused_while_one_is_active_and_stop_ends_it(
    lab: Lab, first_update: dict[str, Any]
) -> None:
    lab.file("slow/tables.py", f"import time\ntime.sleep(3)\n{ORDERS.replace('shop.sales', 'shop.slow')}")
    slow = _pipeline(lab, "slow")
    update_id = _start(lab, slow)
    with pytest.raises(ResourceConflict, match=f"active update {update_id}"):
        _start(lab, slow)
    assert lab.client.pipelines.stop(slow).result().state is not None
    assert _ended(lab, slow, update_id)["state"] == "CANCELED"
    assert not (lab.services.storage.tables_root / "shop" / "slow" / "revenue").exists()


def test_a_job_runs_the_pipeline_and_a_wrong_pipeline_fails_with_the_reason(
    lab: Lab, orders: str, first_update: dict[str, Any]
) -> None:
    lab.file("wrong/tables.py", ORDERS.replace('table("shop.sales.orders")', 'table("shop.sales.order")'))
    wrong = _pipeline(lab, "wrong")
    tasks = [
        {"task_key": "orders", "pipeline_task": {"pipeline_id": orders}},
        {"task_key": "wrong", "pipeline_task": {"pipeline_id": wrong}},
    ]
    run = lab.ended(lab.start(lab.job(*tasks)), 120)
    assert {task["task_key"]: result(task) for task in run["tasks"]} == {
        "orders": "SUCCESS",
        "wrong": "FAILED",
    }
    assert "shop.sales.order" in lab.output(run, "wrong")["error"]
    (update, *_) = lab.call("GET", f"/api/2.0/pipelines/{orders}/updates")["updates"]
    assert (update["cause"], update["state"]) == ("JOB_TASK", "COMPLETED")
    errors = list(lab.client.pipelines.list_pipeline_events(wrong, filter="level='ERROR'"))
    assert any("shop.sales.order" in (event.message or "") for event in errors)


def test_validation_and_refresh_selections_reach_the_engine(
    lab: Lab, orders: str, first_update: dict[str, Any]
) -> None:
    checked = _ended(lab, orders, _start(lab, orders, validate_only=True))
    assert (checked["state"], checked["result"]["datasets"]) == ("COMPLETED", [])
    one = _ended(lab, orders, _start(lab, orders, full_refresh_selection=["shop.sales.orders"]))
    assert [d["name"] for d in one["result"]["datasets"]] == ["shop.sales.orders"]
    with pytest.raises(InvalidParameterValue, match="refresh_selection"):
        _start(lab, orders, refresh_selection="orders")


def test_a_browser_follows_a_job_with_a_pipeline_to_its_failure(
    lab: Lab,
    orders: str,
    browser: Browser,
) -> None:
    report = lab.script("report", "raise ValueError('no rate')\n", max_retries=1)
    job = lab.job(
        lab.script("load", "print('loading <b>')\n"),
        {
            "task_key": "tables",
            "depends_on": [{"task_key": "load"}],
            "pipeline_task": {"pipeline_id": orders, "full_refresh": True},
        },
        {**report, "depends_on": [{"task_key": "tables"}]},
    )
    page = browser.new_page()
    page.goto(f"{lab.url}/login#token={TOKEN}")
    page.wait_for_url(f"{lab.url}/")
    page.goto(lab.run(lab.start(job))["run_page_url"])
    expect(page).to_have_title(re.compile("^Failed: nightly prices"), timeout=180_000)
    expect(page.locator("#announcement")).to_contain_text("3 of 3 tasks done, 1 failure: report")
    expect(page.locator("#task-report")).to_contain_text("ValueError: no rate")
    expect(page.locator("#task-load")).to_contain_text("loading <b>")
    # Prices are -2 .. 7: seven are above 0.
    expect(page.locator("#task-tables .graph")).to_contain_text("7 rows")
    expect(page.locator("#task-tables .graph")).to_contain_text("3 failed")
    page.close()


def test_missing_sources_updates_and_pipelines_are_errors(lab: Lab) -> None:
    empty = _pipeline(lab, "nowhere")
    update = _ended(lab, empty, _start(lab, empty))
    assert update["state"] == "FAILED"
    (event,) = lab.client.pipelines.list_pipeline_events(empty, filter="level='ERROR'")
    assert f"{FOLDER}/nowhere/**" in (event.message or "")
    with pytest.raises(NotFound):
        lab.client.pipelines.get_update(empty, "no-such-update")
    with pytest.raises(NotFound):
        _start(lab, "no-such-pipeline")


def _pipeline(lab: Lab, name: str) -> str:
    body = {
        "name": name,
        "catalog": "shop",
        "schema": "sales",
        "serverless": True,
        "root_path": f"{FOLDER}/{name}",
        "libraries": [{"glob": {"include": f"{FOLDER}/{name}/**"}}],
    }
    return str(lab.call("POST", "/api/2.0/pipelines", **body)["pipeline_id"])


def _start(lab: Lab, pipeline_id: str, **request: Any) -> str:
    return str(lab.call("POST", f"/api/2.0/pipelines/{pipeline_id}/updates", **request)["update_id"])


def _ended(lab: Lab, pipeline_id: str, update_id: str) -> dict[str, Any]:
    path = f"/api/2.0/pipelines/{pipeline_id}/updates/{update_id}"
    found: dict[str, Any] = lab.wait(
        lambda: lab.call("GET", path)["update"],
        lambda update: update["state"] in ("COMPLETED", "FAILED", "CANCELED"),
        120,
    )
    return found
