"""A deployed lakehouse in the workspace that DATABRICKS_HOST names, real or local."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lakerun.bundles.load import load_bundle

MAIN_JOB = load_bundle(Path(__file__).parents[2]).jobs["e2e_pipeline_job"]
PIPELINES = tuple(task.key for task in MAIN_JOB.tasks if task.kind == "pipeline")


@dataclass(frozen=True)
class Deployment:
    """Where the medallion pipeline of the deployment writes, and the SDK's client."""

    client: Any
    catalog: str
    schema: str
    pipeline_ids: dict[str, str]
    warehouse_id: str

    def query(self, sql: str) -> list[list[str | None]]:
        """Rows of a statement in the schema, as the SQL statement API gives them: text."""
        answer = self.client.statement_execution.execute_statement(
            sql, self.warehouse_id, catalog=self.catalog, schema=self.schema, wait_timeout="50s"
        )
        assert answer.status.state.value == "SUCCEEDED", answer.status
        return answer.result.data_array or []


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """The deployment in the workspace; skipped without DATABRICKS_HOST, and if all tests are run."""
    if not any("workspace_live" in argument for argument in request.config.args):
        pytest.skip("a deployed lakehouse is tested only on request: uv run pytest tests/workspace_live")
    if not os.environ.get("DATABRICKS_HOST"):
        pytest.skip("DATABRICKS_HOST names no workspace")
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    # A host that does not answer is an error soon, instead of after five minutes of retries.
    client = WorkspaceClient(config=Config(http_timeout_seconds=60, retry_timeout_seconds=60))
    found = {}
    for name in PIPELINES:
        # Development mode puts the developer's name before it.
        matching = [p for p in client.pipelines.list_pipelines() if (p.name or "").endswith(name)]
        if not matching:
            pytest.fail(f"There is no pipeline {name} in this workspace: run databricks bundle deploy first.")
        found[name] = str(matching[0].pipeline_id)
    spec = client.pipelines.get(found[PIPELINES[0]]).spec
    warehouse = os.environ.get("DATABRICKS_WAREHOUSE_ID") or next(
        (str(item.id) for item in client.warehouses.list()), None
    )
    assert warehouse, "This workspace has no SQL warehouse; name one by DATABRICKS_WAREHOUSE_ID."
    return Deployment(client, str(spec.catalog), str(spec.schema or spec.target), found, warehouse)


@pytest.fixture(scope="session")
def connect(deployment: Deployment) -> Iterator[Any]:
    """Serverless Spark of a real workspace, through databricks-connect."""
    if urlsplit(deployment.client.config.host).hostname in ("127.0.0.1", "localhost"):
        pytest.skip("the local workspace has no Spark Connect server")
    connect = pytest.importorskip(
        "databricks.connect", reason="it takes uv run --no-group local --extra connect"
    )
    session = connect.DatabricksSession.builder.serverless().getOrCreate()
    yield session
    session.stop()
