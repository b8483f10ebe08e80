"""The pages of a real update of a real pipeline, from the engine's events."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from integration.lab import Lab
from pyspark.sql import SparkSession

from lakerun.pipelines.results import Event
from workspace.pages_site import PIPELINE, Site, put_update, serve

ORDERS = """
@dp.table(name="bronze_orders")
@dp.expect("has_id", "id IS NOT NULL")
def bronze_orders():
    return spark.readStream.schema("id INT, value INT").json({folder!r})

@dp.materialized_view(name="gold_value", comment="Value of all orders")
@dp.expect_or_drop("positive", "value > 0")
def gold_value():
    return spark.read.table("bronze_orders").groupBy("id").agg(F.sum("value").alias("value"))

@dp.materialized_view(name="gold_broken")
def gold_broken():
    rate = F.raise_error(F.lit("no rate for this day"))
    return spark.read.table("gold_value").select(rate.cast("string").alias("rate"))
"""


def stored(event: Event) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(json.dumps(asdict(event) | {"timestamp": event.timestamp.isoformat()}))
    return body


def shown(site: Site, update_id: str) -> str:
    with site.reader() as reader:
        page = reader.get(f"/pipelines/{PIPELINE}/updates/{update_id}").text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page[page.index("<main") :]))


def test_rows_expectations_and_errors_of_a_real_update(spark: SparkSession, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    folder = lab.arrive("orders", [{"id": 1, "value": 5}, {"id": 2, "value": -1}, {"value": 9}])
    result = lab.run(ORDERS.format(folder=folder))
    with serve(tmp_path) as site:
        put_update(site, "while-it-runs", "RUNNING")
        put_update(site, "over", "FAILED", result=json.loads(json.dumps(asdict(result))))
        for update_id in ("while-it-runs", "over"):
            for event in lab.events:
                body = stored(event)
                site.store.put("event", f"{update_id}-{body['id']}", body, update_id)
            text = shown(site, update_id)
            assert re.search(r"bronze_orders streaming table Completed 3 0 [\d.]+ s", text)
            # Orders 1, 2 and the one without id: values 5, -1, 9, so that one group is dropped.
            assert re.search(r"gold_value materialized view Completed 2 1 [\d.]+ s bronze_orders", text)
            assert re.search(r"gold_broken materialized view Failed [^|]*no rate for this day", text)
            action = "Drop the row" if update_id == "over" else r"\S"
            assert re.search(rf"gold_value positive {action} 2 1 33.3 % failed", text)
            assert re.search(r"bronze_orders has_id (Keep the row|\S) 2 1 33.3 % failed", text)
            errors = text[text.index("Errors") : text.index("List of the datasets")]
            assert "no rate for this day" in errors
        with site.reader() as reader:
            table = reader.get("/tables/main/shop/gold_value").text
        assert "Value of all orders" in table
        assert "Rows 1 to 2 of 2" in table
