"""Every setting of pipelines and jobs is carried out, without effect, or refused by name."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from integration.lab import Lab

from lakerun.bundles.job_specs import job_from_settings
from lakerun.bundles.load import load_bundle
from lakerun.bundles.review import check_supported, review
from lakerun.bundles.sections import Section
from lakerun.bundles.settings import SETTINGS
from lakerun.bundles.support import Support
from lakerun.errors import BundleError, LakerunError
from unit.job_lab import JobLab

# Written by `tools.bundle_settings` from the JSON schema of the CLI.
SCHEMA = json.loads(Path(__file__).with_name("bundle_settings.json").read_text(encoding="utf-8"))
# Settings of requests to the API, which bundles do not have.
REQUESTS = {
    "resources.Job": {
        "access_control_list", "deployment", "edit_mode", "format", "idempotency_token", "run_name",
    },
    "resources.Pipeline": {"deployment"},
}  # fmt: skip
# Mappings that are kept or passed on whole.
WHOLE = {"jobs.Webhook", "resources.Lifecycle", "resources.JobPermission", "resources.PipelinePermission"}


def of_effect(effect: str) -> list[tuple[str, str]]:
    return [
        (kind, name)
        for kind, settings in SETTINGS.items()
        for name, support in settings.items()
        if support.effect == effect
    ]


def test_the_settings_are_those_of_the_schema() -> None:
    """A new version's setting is missing here until somebody decides what becomes of it."""
    listed = {kind: settings.keys() - REQUESTS.get(kind, set()) for kind, settings in SETTINGS.items()}
    assert listed == {kind: settings.keys() for kind, settings in SCHEMA.items()}


def test_what_is_carried_out_is_looked_into() -> None:
    missed = [
        f"{kind}.{name}"
        for kind, settings in SCHEMA.items()
        for name, inner in settings.items()
        if (support := SETTINGS[kind][name]).effect == "carried out"
        and support.parts != inner
        and inner not in WHOLE
    ]
    assert missed == []


def test_every_setting_has_a_reason() -> None:
    reasons = [support.reason for settings in SETTINGS.values() for support in settings.values()]
    assert [reason for reason in reasons if not reason.endswith(".")] == []


@pytest.mark.parametrize(("kind", "name"), of_effect("refused"))
def test_a_refused_setting_is_named(kind: str, name: str) -> None:
    (finding,) = review(Section({name: {"some": "value"}}, "job.part"), kind).refused
    reason = SETTINGS[kind][name].reason
    assert finding.message == f"job.part.{name}: it is not supported here. {reason}"


@pytest.mark.parametrize(("kind", "name"), of_effect("refused"))
def test_a_refused_setting_that_asks_for_nothing_is_taken(kind: str, name: str) -> None:
    values = [None, False, {}, *SETTINGS[kind][name].accepted]
    for value in values:
        found = review(Section({name: value}), kind)
        assert (found.refused, found.without_effect) == ([], [])


@pytest.mark.parametrize(("kind", "name"), of_effect("no effect"))
def test_a_setting_without_effect_is_noted(kind: str, name: str) -> None:
    found = review(Section({name: "x"}, "at"), kind)
    assert found.refused == []
    assert [note.message for note in found.without_effect] == [f"at.{name}: {SETTINGS[kind][name].reason}"]


def test_a_setting_is_found_at_every_depth_and_an_unknown_one_is_noted() -> None:
    task = {"task_key": "b", "notebook_task": {"notebook_path": "n", "source": "GIT"}}
    settings = {"tasks": [{"task_key": "a", "for_each_task": {"inputs": "[1]", "task": task}}], "colour": 1}
    found = review(Section(settings), "resources.Job")
    assert [finding.message.partition(":")[0] for finding in found.refused] == [
        "tasks[0].for_each_task.task.notebook_task.source"
    ]
    assert [finding.message for finding in found.without_effect] == ["colour: Databricks has no such setting"]


BUNDLE = """
bundle: {name: shop}
resources:
  pipelines:
    sales:
      catalog: main
      schema: shop
      serverless: true
      continuous: true  # refused
      clusters: [{num_workers: 4, spark_conf: {a: 1}}, {label: maintenance, spark_conf: {a: 2}}]
      libraries: [{file: {path: sales.py}}]
  jobs:
    plain:
      environments: [{environment_key: default, spec: {client: "4"}}]
      job_clusters: [{job_cluster_key: small, new_cluster: {num_workers: 0, spark_conf: {spark.x: y}}}]
      tasks:
        - {task_key: one, job_cluster_key: small, spark_python_task: {python_file: one.py}}
        - {task_key: two, new_cluster: {spark_conf: {b: c}}, spark_python_task: {python_file: one.py}}
    other:
      tasks:
        - task_key: models
          dbt_task:
            commands: [dbt run]
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("bundle")
    (root / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    for name in ("sales.py", "one.py"):
        (root / name).write_text("", encoding="utf-8")
    return load_bundle(root)


def test_a_refused_setting_stops_its_own_job_or_pipeline_only(bundle: Any) -> None:
    check_supported(bundle.jobs["plain"])
    with pytest.raises(
        BundleError, match=r"^databricks.yml:9: .*sales\.continuous: it is not supported here"
    ):
        check_supported(bundle.pipelines["sales"])
    with pytest.raises(
        BundleError, match=r"^databricks.yml:22: .*tasks\[0\]\.dbt_task: .* Supported types: "
    ):
        check_supported(bundle.jobs["other"])


def test_the_settings_without_effect_are_known(bundle: Any) -> None:
    assert [note.setting for note in bundle.pipelines["sales"].without_effect] == [
        "serverless",
        "num_workers",
    ]
    assert [note.setting for note in bundle.jobs["plain"].without_effect] == ["client"]


def test_the_spark_settings_of_clusters_reach_pipelines_and_tasks(bundle: Any) -> None:
    assert bundle.pipelines["sales"].spark_conf == {"a": "1"}
    assert [task.spark_conf for task in bundle.jobs["plain"].tasks] == [{"spark.x": "y"}, {"b": "c"}]


def test_an_unknown_cluster_is_refused() -> None:
    task = {"task_key": "a", "job_cluster_key": "big", "spark_python_task": {"python_file": "/a.py"}}
    cluster = {"job_cluster_key": "small", "new_cluster": {}}
    with pytest.raises(LakerunError, match="Unknown cluster 'big'"):
        job_from_settings({"tasks": [task], "job_clusters": [cluster]}, "1")


def test_a_job_with_a_refused_setting_runs_no_task(tmp_path: Path) -> None:
    lab = JobLab(tmp_path)
    with pytest.raises(LakerunError, match=r"dbt_task: it is not supported here"):
        lab.run(lab.job({"task_key": "models", "dbt_task": {"commands": ["run"]}}))


def test_a_pipeline_with_a_refused_setting_is_not_updated(tmp_path: Path) -> None:
    from lakerun.pipelines.update import run_update

    lab = Lab(tmp_path)
    found = review(Section({"filters": {"include": ["a"]}}), "resources.Pipeline")
    spec = lab.spec("").model_copy(update={"refused": tuple(found.refused)})
    with pytest.raises(BundleError, match="filters: it is not supported here"):
        run_update(spec, storage=lab.storage, stop=threading.Event())
    assert not lab.storage.pipeline_path("lab").exists()


def test_a_value_may_ask_for_nothing() -> None:
    format = Support("refused", "Only Delta.", ("delta",))
    assert [format.refuses(value) for value in ("delta", "parquet", "", None)] == [False, True, False, False]
