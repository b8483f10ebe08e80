"""The repository's own bundle, in each of its targets."""

from __future__ import annotations

import argparse
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.generation import job as generation_job
from lakerun.bundles.load import Bundle, load_bundle
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.runner import run_job
from lakerun.tables.storage import Storage, TableName
from tests.unit.test_bundle_schema import SCHEMA_URL

ROOT = Path(__file__).parents[2]
TARGETS = ("dev", "staging", "prod")
BUNDLE_FILES = [ROOT / "databricks.yml", *sorted((ROOT / "resources").glob("*.yml"))]


@pytest.fixture(params=TARGETS)
def bundle(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    for name in ("environment", "catalog", "schema", "volume"):
        monkeypatch.delenv(f"BUNDLE_VAR_{name}", raising=False)
    return load_bundle(ROOT, request.param)


def test_dev_is_the_default_target() -> None:
    assert load_bundle(ROOT).target == "dev"


def test_every_reference_resolves_in_every_target(bundle: Bundle) -> None:
    declared = {(kind, key) for kind, resources in bundle.resources.items() for key in resources}
    # One resource per file, named after it.
    files = (file.name.split(".") for file in (ROOT / "resources").glob("*.yml"))
    assert declared == {(f"{kind}s", key) for key, kind, _ in files}
    assert "${" not in str(bundle.resources)


def test_a_targets_catalog_and_schema_are_those_of_its_settings(bundle: Bundle) -> None:
    config = get_config(bundle.target)
    for pipeline in bundle.pipelines.values():
        assert pipeline.configuration == {
            "PIPELINE_ENV": bundle.target,
            "CATALOG_NAME": config.catalog,
            "SCHEMA_NAME": config.schema,
            "VOLUME_NAME": config.volume,
        }
        assert (pipeline.catalog, pipeline.schema) == (config.catalog, config.schema)
    assert bundle.resources["volumes"]["data"]["schema_name"] == config.schema


def test_each_pipeline_is_serverless_and_publishes_its_event_log(bundle: Bundle) -> None:
    for key, pipeline in bundle.pipelines.items():
        assert pipeline.serverless
        assert pipeline.event_log == TableName(pipeline.catalog, pipeline.schema, f"event_log_{key}")


def test_each_pipeline_finds_its_source_files(bundle: Bundle) -> None:
    folders = {file.parent for file in (ROOT / "src" / "pipelines").glob("*/*.py")}
    assert {pipeline.root_path for pipeline in bundle.pipelines.values()} == folders
    for pipeline in bundle.pipelines.values():
        assert pipeline.root_path is not None
        assert set(pipeline.source_files) == set(pipeline.root_path.rglob("*.py"))


def test_the_main_job_generates_data_runs_both_pipelines_and_exports_their_metrics(bundle: Bundle) -> None:
    job = bundle.jobs["e2e_pipeline_job"]
    assert [(task.key, task.kind, task.depends_on) for task in job.tasks] == [
        ("generate_sample_data", "run_job", ()),
        ("medallion_dlt_pipeline", "pipeline", ("generate_sample_data",)),
        ("ml_features_pipeline", "pipeline", ("medallion_dlt_pipeline",)),
        ("pipeline_events", "python_wheel", ("medallion_dlt_pipeline", "ml_features_pipeline")),
        ("grant_tables", "python_wheel", ("medallion_dlt_pipeline", "ml_features_pipeline")),
        ("export_metrics", "python_wheel", ("medallion_dlt_pipeline", "ml_features_pipeline")),
        ("pipelines_succeeded", "condition", ("ml_features_pipeline",)),
    ]
    # A failed pipeline is seen and exported too, and still fails the job: it is upstream of a last task.
    assert [task.run_if for task in job.tasks[-4:]] == [*["ALL_DONE"] * 3, "ALL_SUCCESS"]
    assert job.parameters == {"environment": bundle.target}
    assert (job.queue, job.max_concurrent_runs) == (True, 1)


def test_order_batches_are_generated_ingested_and_exported_whatever_the_outcome(bundle: Bundle) -> None:
    job = bundle.jobs["order_analytics_job"]
    assert [(task.key, task.kind, task.depends_on, task.run_if) for task in job.tasks] == [
        ("generate_order_batches", "python_wheel", (), "ALL_SUCCESS"),
        ("order_analytics_pipeline", "pipeline", ("generate_order_batches",), "ALL_SUCCESS"),
        ("pipeline_events", "python_wheel", ("order_analytics_pipeline",), "ALL_DONE"),
        ("grant_tables", "python_wheel", ("order_analytics_pipeline",), "ALL_DONE"),
        ("export_metrics", "python_wheel", ("order_analytics_pipeline",), "ALL_DONE"),
        ("pipeline_succeeded", "condition", ("order_analytics_pipeline",), "ALL_SUCCESS"),
    ]


def test_the_schedule_runs_only_in_prod(bundle: Bundle) -> None:
    schedule = bundle.jobs["e2e_pipeline_job"].schedule
    assert schedule is not None
    assert schedule["pause_status"] == ("UNPAUSED" if bundle.target == "prod" else "PAUSED")


def test_only_dev_runs_development_pipelines(bundle: Bundle) -> None:
    assert {p.development for p in bundle.pipelines.values()} == {bundle.target == "dev"}


def test_the_sample_data_job_reaches_the_generator_with_its_parameters(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[LakehouseConfig, dict[str, Any]]] = []

    def generate(spark: object, config: LakehouseConfig, *, on_progress: object, **sizes: Any) -> list[Any]:
        called.append((config, sizes))
        return []

    monkeypatch.setattr(generation_job, "generate_sample_data", generate)
    monkeypatch.setattr(generation_job, "spark_session", lambda job: object())
    result = run_job(
        bundle.jobs["generate_sample_data"],
        {"volume": "other", "orders": "7", "issue_rate": "0.5"},
        resources=bundle,
        task_runner=LocalTaskRunner(Storage.default(), lambda: None),
        on_task=lambda update: None,
    )
    assert [(task.state, task.error) for task in result.tasks] == [("SUCCESS", None)]
    settings = get_config(bundle.target)
    if settings.source_data == "delivered":
        assert called == []
        return
    ((config, sizes),) = called
    assert (config.environment, config.catalog, config.schema, config.volume) == (
        settings.environment,
        settings.catalog,
        settings.schema,
        "other",
    )
    assert sizes == {
        "seed": None,
        "orders": 7,
        "customer_activity": None,
        "customers": None,
        "issue_rate": 0.5,
        "batches": 1,
    }


def test_every_wheel_task_takes_what_its_job_passes_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_alone(parser: argparse.ArgumentParser, *args: Any) -> None:
        parse(parser, *args)
        raise SystemExit(0)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_alone)
    ends = {
        (key, task.key): task.error
        for key, job in bundle.jobs.items()
        for wheel in job.tasks
        if wheel.kind == "python_wheel"
        for task in run_job(
            job,
            {},
            only=[wheel.key],
            resources=bundle,
            task_runner=LocalTaskRunner(Storage.default(), lambda: None),
            on_task=lambda update: None,
        ).tasks
        if task.key == wheel.key
    }
    assert len(ends) >= 8
    assert set(ends.values()) == {None}, ends


@pytest.mark.parametrize("path", BUNDLE_FILES, ids=lambda path: path.name)
def test_no_file_names_a_workspace_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*(host|profile)\s*:", text, re.MULTILINE)
    assert re.findall(r"https?://\S*", text) == [SCHEMA_URL]


@pytest.mark.parametrize("path", BUNDLE_FILES[1:], ids=lambda path: path.name)
def test_one_resource_per_file_named_after_it(path: Path) -> None:
    key, kind, _ = path.name.split(".")
    resources = re.findall(r"^  (\w+):\n    (\w+):", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert resources == [(f"{kind}s", key)]
    assert len(re.findall(r"^    \w+:", path.read_text(encoding="utf-8"), re.MULTILINE)) == 1


def test_the_notebook_counts_the_rows_of_the_schema_in_its_widget() -> None:
    widgets = {"environment": "staging", "schema": "data_eng"}
    shown: list[object] = []
    tables = [
        SimpleNamespace(tableName=name, isTemporary=name == "scratch") for name in ("b", "a", "scratch")
    ]
    rows = {"staging.data_eng.a": 3, "staging.data_eng.b": 5}
    asked: list[str] = []

    def sql(query: str) -> SimpleNamespace:
        asked.append(query)
        return SimpleNamespace(collect=lambda: tables)

    stand_ins = {
        "dbutils": SimpleNamespace(
            widgets=SimpleNamespace(text=lambda name, default, label: None, get=widgets.__getitem__)
        ),
        "spark": SimpleNamespace(
            sql=sql,
            table=lambda name: SimpleNamespace(count=lambda: rows[name]),
            createDataFrame=lambda data, schema: data,
        ),
        "display": shown.append,
    }
    runpy.run_path(str(ROOT / "src" / "notebooks" / "inspect_tables.py"), init_globals=stand_ins)
    assert asked == ["SHOW TABLES IN staging.data_eng"]
    assert shown == [[("a", 3), ("b", 5)]]
