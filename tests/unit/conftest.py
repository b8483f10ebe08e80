"""A small lakehouse and a bundle for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakerun.tables.storage import Storage
from tests.unit.shop_data import lakehouse_tables

BUNDLE = """
bundle:
  name: ecommerce_lakehouse
variables:
  environment: {default: dev}
  catalog: {default: c}
  schema: {default: data_eng}
  volume: {default: data}
targets:
  dev:
    mode: development
    default: true
  prod:
    mode: production
resources:
  jobs:
    nightly:
      name: nightly
      description: Everything, every night
      parameters:
        - {name: environment, default: "${var.environment}"}
      schedule: {quartz_cron_expression: "0 0 3 * * ?", timezone_id: UTC, pause_status: PAUSED}
      tasks:
        - task_key: medallion
          pipeline_task:
            pipeline_id: ${resources.pipelines.medallion_dlt_pipeline.id}
  pipelines:
    medallion_dlt_pipeline:
      name: medallion_dlt_pipeline
      catalog: ${var.catalog}
      schema: ${var.schema}
      libraries:
        - file: {path: ./counted.py}
      event_log: {catalog: main_dev, schema: data_eng, name: event_log_medallion_dlt_pipeline}
    quiet:
      name: quiet
      catalog: ${var.catalog}
      schema: ${var.schema}
      libraries:
        - file: {path: ./counted.py}
"""


@pytest.fixture
def storage(home: Path) -> Storage:
    """A data folder with four orders and the events of two updates."""
    storage = Storage(home)
    lakehouse_tables(storage)
    return storage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bundle in the working directory."""
    root = tmp_path / "project"
    (root / "deeper").mkdir(parents=True)
    (root / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (root / "counted.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(root)
    return root
