"""The relation over the event logs of all pipelines: a view on Databricks, resolved by name on a laptop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import Row

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability import events_view
from ecommerce_lakehouse.observability.lakehouse import UnityCatalog, lakehouse_of
from lakerun.tables.storage import Storage
from tests.unit import health_data

ARGUMENTS = ["--environment", "local"]


class Catalog:
    """Stands in for Databricks' catalog, which cannot be run here: it knows these event logs."""

    def __init__(self, *logs: str) -> None:
        self.logs, self.asked = logs, list[str]()

    def sql(self, text: str) -> Any:
        self.asked.append(text)
        return SimpleNamespace(collect=lambda: [Row(table_name=name) for name in self.logs])


def test_on_databricks_it_is_a_view_over_the_event_logs_that_exist() -> None:
    config = get_config("prod").model_copy(update={"on_databricks": True, "tables_root": None})
    spark: Any = Catalog("event_log_a", "event_log_b")
    assert UnityCatalog(config, spark).create_events() == ["event_log_a", "event_log_b"]
    asked, created = spark.asked
    assert "FROM `prod`.information_schema.columns WHERE table_schema = 'data_eng'" in asked
    selected = (
        "SELECT timestamp, level, message, event_type, details, origin.pipeline_id AS pipeline_id, "
        "origin.pipeline_name AS pipeline_name, origin.update_id AS update_id, "
        "origin.dataset_name AS dataset_name FROM `prod`.`data_eng`."
    )
    assert created == (
        "CREATE OR REPLACE VIEW `prod`.`data_eng`.`pipeline_events` AS "
        f"{selected}`event_log_a` UNION ALL {selected}`event_log_b`"
    )


def test_on_databricks_a_view_is_kept_while_there_is_no_event_log() -> None:
    config = get_config("prod").model_copy(update={"on_databricks": True, "tables_root": None})
    spark: Any = Catalog()
    assert UnityCatalog(config, spark).create_events() == []
    assert len(spark.asked) == 1  # nothing is created


def test_on_a_laptop_the_task_prints_the_event_logs(home: Any, capsys: Any) -> None:
    events_view.main(ARGUMENTS)
    assert capsys.readouterr().out == "no event log in local.data_eng yet\n"
    health_data.fortnight(Storage(home))
    events_view.main(ARGUMENTS)
    assert capsys.readouterr().out == (
        "pipeline_events of local.data_eng: "
        "event_log_medallion_dlt_pipeline, event_log_ml_features_pipeline\n"
    )
    lakehouse = lakehouse_of(get_config("local"))
    (counted,) = lakehouse.rows(
        "SELECT count(*) AS events, count(pipeline_name) AS named FROM pipeline_events"
    )
    # The fortnight of two pipelines; each event names its pipeline.
    assert counted["events"] == counted["named"] > 5
    by_pipeline = lakehouse.rows(
        "SELECT pipeline_name, count(*) AS events FROM pipeline_events GROUP BY pipeline_name ORDER BY events"
    )
    # Of the other pipeline: three events of its update, one definition, one flow.
    assert by_pipeline[0] == {"pipeline_name": "ml_features_pipeline", "events": 5}


def test_a_wrong_environment_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        events_view.main(["--environment", "production"])
    assert stop.value.code == 2
    assert "Unknown environment 'production'" in capsys.readouterr().err
