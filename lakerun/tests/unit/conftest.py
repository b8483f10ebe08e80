"""A small lakehouse and a bundle for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakerun.tables.storage import Storage
from unit import cli_data

BUNDLE = """
bundle:
  name: reports
variables:
  catalog: {default: main_dev}
targets:
  dev:
    mode: development
    default: true
  prod:
    mode: production
    variables: {catalog: main_prod}
resources:
  jobs:
    nightly:
      name: nightly
      description: Everything, every night
      parameters:
        - {name: region, default: "${var.catalog}"}
      schedule: {quartz_cron_expression: "0 0 3 * * ?", timezone_id: UTC, pause_status: PAUSED}
      tasks:
        - task_key: orders
          pipeline_task:
            pipeline_id: ${resources.pipelines.orders_pipeline.id}
  pipelines:
    orders_pipeline:
      name: orders_pipeline
      catalog: ${var.catalog}
      schema: sales
      libraries:
        - file: {path: ./counted.py}
      event_log: {catalog: main_dev, schema: sales, name: event_log_orders_pipeline}
    quiet:
      name: quiet
      catalog: ${var.catalog}
      schema: sales
      libraries:
        - file: {path: ./counted.py}
"""


@pytest.fixture
def storage(home: Path) -> Storage:
    """A data folder with four orders and the events of two updates."""
    storage = Storage(home)
    cli_data.table(storage, "silver_orders", cli_data.orders(), description="Valid orders")
    cli_data.table(storage, "event_log_orders_pipeline", cli_data.event_log())
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
