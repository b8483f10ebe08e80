"""Reading a bundle: includes, targets, variables, references."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from lakerun.bundles.load import Bundle, load_bundle
from lakerun.bundles.places import make_places
from lakerun.errors import BundleError, LakerunError, UnknownNameError
from lakerun.tables.storage import Storage

ROOT_FILE = """
bundle:
  name: shop
include:
  - resources/*.yml
variables:
  catalog:
    description: Where tables live
  schema:
    default: sales_${bundle.target}
  tags:
    type: complex
    default:
      owner: ana@example.com
      retries: 3
targets:
  dev:
    mode: development
    default: true
    variables:
      catalog: dev_catalog
  prod:
    variables:
      catalog: prod_catalog
    presets:
      jobs_max_concurrent_runs: 3
    resources:
      jobs:
        nightly:
          name: nightly_prod
          parameters:
            - name: day
              default: tuesday
          tasks:
            - task_key: load
              pipeline_task:
                full_refresh: true
            - task_key: report
              depends_on:
                - task_key: load
              notebook_task:
                notebook_path: ../report.py
"""

RESOURCES = """
resources:
  pipelines:
    orders:
      name: orders_${bundle.target}
      catalog: ${var.catalog}
      schema: ${var.schema}
      configuration:
        retries: ${var.tags.retries}
        place: ${resources.pipelines.orders.catalog}.${resources.pipelines.orders.schema}
        strict: true
        job: ${resources.jobs.nightly.id}
      libraries:
        - file:
            path: ../src/single.py
        - notebook:
            path: ../src/book
        - glob:
            include: ../src/more/**
  jobs:
    nightly:
      parameters:
        - name: day
          default: monday
        - name: owner
          default: ${var.tags.owner}
      tasks:
        - task_key: load
          pipeline_task:
            pipeline_id: ${resources.pipelines.orders.id}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "resources").mkdir()
    (tmp_path / "databricks.yml").write_text(ROOT_FILE, encoding="utf-8")
    (tmp_path / "resources" / "all.yml").write_text(RESOURCES, encoding="utf-8")
    (tmp_path / "src" / "more" / "deep").mkdir(parents=True)
    for name in ("single.py", "book.py", "other.py", "more/a.py", "more/deep/b.py", "more/notes.md"):
        (tmp_path / "src" / name).write_text("", encoding="utf-8")
    return tmp_path


def test_library_paths_are_relative_to_their_file(root: Path) -> None:
    files = load_bundle(root).pipelines["orders"].source_files
    assert [file.relative_to(root).as_posix() for file in files] == [
        "src/book.py",
        "src/more/a.py",
        "src/more/deep/b.py",
        "src/single.py",
    ]


def test_references_resolve_through_variables_to_resources(root: Path) -> None:
    pipeline = load_bundle(root).pipelines["orders"]
    assert pipeline.name == "orders_dev"
    assert pipeline.schema == "sales_dev"
    assert pipeline.configuration == {
        "retries": "3",
        "place": "dev_catalog.sales_dev",
        "strict": "true",
        "job": "nightly",
    }


def test_development_mode_makes_development_pipelines_and_leaves_names_as_written(root: Path) -> None:
    pipeline = load_bundle(root, "dev").pipelines["orders"]
    assert (pipeline.name, pipeline.development) == ("orders_dev", True)
    assert not load_bundle(root, "prod").pipelines["orders"].development


def test_a_target_overrides_named_tasks_and_parameters_one_by_one(root: Path) -> None:
    job = load_bundle(root, "prod").jobs["nightly"]
    assert job.name == "nightly_prod"
    assert job.parameters == {"day": "tuesday", "owner": "ana@example.com"}
    assert [task.key for task in job.tasks] == ["load", "report"]
    assert job.tasks[0].payload == {"pipeline_id": "orders", "full_refresh": True}
    assert job.max_concurrent_runs == 3


def test_without_an_override_the_job_is_as_written(root: Path) -> None:
    job = load_bundle(root, "dev").jobs["nightly"]
    assert (job.name, job.max_concurrent_runs, job.schedule, job.queue) == ("nightly", 1, None, False)
    assert [task.payload for task in job.tasks] == [{"pipeline_id": "orders"}]


def test_precedence_of_variables_is_given_environment_file_target(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def catalog(**given: str) -> str:
        return load_bundle(root, "dev", given).pipelines["orders"].catalog

    assert catalog() == "dev_catalog"
    overrides = root / ".databricks" / "bundle" / "dev" / "variable-overrides.json"
    overrides.parent.mkdir(parents=True)
    overrides.write_text('{"catalog": "from_file"}', encoding="utf-8")
    assert catalog() == "from_file"
    monkeypatch.setenv("BUNDLE_VAR_catalog", "from_environment")
    assert catalog() == "from_environment"
    assert catalog(catalog="given") == "given"


def test_a_target_may_look_up_a_variable_by_name(root: Path) -> None:
    text = ROOT_FILE.replace(
        "catalog: prod_catalog", "catalog:\n        lookup:\n          metastore: shared"
    )
    (root / "databricks.yml").write_text(text, encoding="utf-8")
    assert load_bundle(root, "prod").variables["catalog"] == "shared"


def test_the_workspace_stands_for_this_machine(root: Path) -> None:
    text = RESOURCES.replace(
        "default: monday", "default: ${workspace.current_user.userName}:${workspace.file_path}"
    )
    (root / "resources" / "all.yml").write_text(text, encoding="utf-8")
    assert load_bundle(root).jobs["nightly"].parameters["day"] == f"{getpass.getuser()}:{root}"


def test_anchors_and_merge_keys_are_supported(root: Path) -> None:
    (root / "resources" / "more.yml").write_text(
        """
resources:
  schemas:
    first: &place
      name: first
      catalog_name: ${var.catalog}
    second:
      <<: *place
      name: second
""",
        encoding="utf-8",
    )
    assert load_bundle(root).resources["schemas"] == {
        "first": {"name": "first", "catalog_name": "dev_catalog"},
        "second": {"name": "second", "catalog_name": "dev_catalog"},
    }


def test_words_and_dates_stay_text_as_the_databricks_cli_reads_them(root: Path) -> None:
    text = RESOURCES.replace("strict: true", "strict: on\n        since: 2026-01-31\n        at: 12:30")
    (root / "resources" / "all.yml").write_text(text, encoding="utf-8")
    configuration = load_bundle(root).pipelines["orders"].configuration
    assert [configuration[key] for key in ("strict", "since", "at")] == ["on", "2026-01-31", "12:30"]


def test_a_bundle_without_targets_has_one_called_default(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text("bundle: {name: tiny}", encoding="utf-8")
    bundle = load_bundle(tmp_path)
    assert (bundle.target, bundle.pipelines, bundle.jobs) == ("default", {}, {})


def test_find_takes_a_key_or_a_name_and_lists_the_closest_otherwise(root: Path) -> None:
    bundle = load_bundle(root, "prod")
    assert bundle.find("orders") is bundle.pipelines["orders"]
    assert bundle.find("nightly_prod") is bundle.jobs["nightly"]
    with pytest.raises(UnknownNameError, match="Did you mean 'nightly'") as error:
        bundle.find("nightli")
    assert error.value.valid == ["nightly", "orders"]


APPS = """
resources:
  apps:
    viewer:
      name: order-viewer
      source_code_path: src
      resources: [{name: job, job: {id: "${resources.jobs.nightly.id}", permission: CAN_VIEW}}]
  volumes:
    views:
      comment: ${resources.apps.viewer.service_principal_client_id} ${resources.apps.viewer.name}
"""


def test_an_app_is_in_the_bundle_but_does_not_run(root: Path) -> None:
    (root / "resources" / "apps.yml").write_text(APPS, encoding="utf-8")
    bundle = load_bundle(root)
    assert bundle.resources["apps"]["viewer"]["resources"][0]["job"]["id"] == "nightly"
    assert bundle.resources["volumes"]["views"]["comment"] == "viewer order-viewer"
    with pytest.raises(LakerunError, match=r"^resources\.apps\.viewer does not run here: only jobs and"):
        bundle.find("viewer")


def test_a_type_of_resource_may_have_none(root: Path) -> None:
    edited(root, "resources:\n  pipelines:", "resources:\n  apps:\n  volumes: {}\n  pipelines:")
    assert load_bundle(root).resources.keys() == {"pipelines", "jobs"}


def edited(root: Path, old: str, new: str) -> Path:
    """The bundle with one passage changed, in whichever file has it."""
    for path in (root / "databricks.yml", root / "resources" / "all.yml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new), encoding="utf-8")
    return root


ERRORS = {
    "a syntax error": (
        "bundle:\n",
        "bundle: [\n",
        "databricks.yml:4: YAML syntax error: while parsing a flow sequence",
    ),
    "a duplicate key": (
        "  name: shop",
        "  name: shop\n  name: two",
        "databricks.yml:4: duplicate key 'name'",
    ),
    "a bundle without a name": ("  name: shop", "  uuid: x", "bundle.name"),
    "a list for a mapping": (
        "    orders:\n      name",
        "    x: []\n    orders:\n      name",
        "resources/all.yml:4: resources.pipelines.x: a mapping is expected, not a list",
    ),
    "a resource without settings": (
        "    orders:\n      name",
        "    x:\n    orders:\n      name",
        "resources/all.yml:4: resources.pipelines.x has no settings",
    ),
    "text for a list": (
        "      tasks:\n        - task_key: load\n          pipeline_task:\n            pipeline_id: ",
        "      tasks: ",
        "resources.jobs.nightly.tasks: a list is expected, not text",
    ),
    "an unknown type of resource": (
        "  pipelines:",
        "  pipeline:",
        "resources/all.yml:3: resources: Unknown type",
    ),
    "an include that is not there": (
        "resources/*.yml",
        "resources/none.yml",
        "databricks.yml:5: include: there is",
    ),
    "an unknown variable": (
        "catalog: ${var.catalog}",
        "catalog: ${var.catalgo}",
        "resources/all.yml:6: resources.pipelines.orders.catalog: Unknown variable 'catalgo'. "
        "Did you mean 'catalog'?",
    ),
    "a variable without a value": (
        "catalog: dev_catalog",
        "schema: s",
        "variables.catalog: it has no value for target 'dev'; set BUNDLE_VAR_catalog",
    ),
    "a value for an undeclared variable": (
        "catalog: dev_catalog",
        "catalogue: x",
        "databricks.yml:21: variables: ",
    ),
    "an unresolvable reference": (
        "${resources.pipelines.orders.id}",
        "${resources.pipelines.order.id}",
        "tasks[0].pipeline_task.pipeline_id: ${resources.pipelines.order.id} cannot be resolved. "
        "Unknown key 'order'. Did you mean 'orders'?",
    ),
    "a cycle of references": (
        "default: sales_${bundle.target}",
        "default: ${resources.pipelines.orders.schema}",
        "references form a cycle: var.schema -> resources.pipelines.orders.schema -> var.schema",
    ),
    "a mapping within text": (
        "retries: ${var.tags.retries}",
        "retries: x${var.tags}",
        "cannot be part of text",
    ),
    "an unknown pipeline": (
        "${resources.pipelines.orders.id}",
        "order",
        "resources/all.yml:30: resources.jobs.nightly.tasks[0].pipeline_task.pipeline_id: "
        "Unknown pipeline 'order'. Did you mean 'orders'?",
    ),
    "a missing file": ("path: ../src/single.py", "path: ../src/none.py", "there is no source file at"),
    "a folder without Python files": (
        "../src/more/**",
        "../src/none/**",
        "there is no source file at '../src/none/**'",
    ),
    "a task of no type": ("          pipeline_task:\n", "          environment:\n", "needs exactly one type"),
    "an unknown upstream task": (
        "- task_key: load\n          pipeline",
        "- task_key: load\n          depends_on: [{task_key: laod}]\n          pipeline",
        "depends_on[0].task_key: Unknown task 'laod'. Did you mean 'load'?",
    ),
    "tasks that wait for each other": (
        "- task_key: load\n          pipeline",
        "- task_key: load\n          depends_on: [{task_key: load}]\n          pipeline",
        "resources.jobs.nightly.tasks: tasks depend on each other in a cycle: load -> load",
    ),
    "a job that runs itself": (
        "pipeline_task:\n            pipeline_id: ${resources.pipelines.orders.id}",
        "run_job_task: {job_id: nightly}",
        "jobs run each other in a cycle: nightly -> nightly",
    ),
    "an unknown parameter of the nested job": (
        "pipeline_task:\n            pipeline_id: ${resources.pipelines.orders.id}",
        "run_job_task: {job_id: nightly, job_parameters: {dya: x}}",
        "job_parameters.dya: Unknown job parameter 'dya'. Did you mean 'day'?",
    ),
    "an event log without a name": (
        "      configuration:\n",
        "      event_log: {schema: logs}\n      configuration:\n",
        "resources/all.yml:8: resources.pipelines.orders.event_log.name: it is missing",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_a_mistake_is_one_line_with_file_and_key(root: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(BundleError) as error:
        load_bundle(edited(root, old, new))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert ".yml" in str(error.value).split(" ")[0]


def test_an_unknown_target_lists_the_valid_ones(root: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown target 'prd'\. Did you mean 'prod'"):
        load_bundle(root, "prd")


def test_an_unknown_given_variable_lists_the_valid_ones(root: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown variable 'schem'\. Did you mean 'schema'"):
        load_bundle(root, "dev", {"schem": "x"})


def test_a_resource_defined_in_two_files_names_both(root: Path) -> None:
    (root / "resources" / "more.yml").write_text(
        "resources:\n  schemas:\n    orders: {name: x}\n", encoding="utf-8"
    )
    with pytest.raises(
        BundleError, match=r"resources/more.yml:3: .*'orders' is already .* resources/all.yml:4"
    ):
        load_bundle(root)


def test_a_folder_without_a_bundle_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no databricks\.yml"):
        load_bundle(tmp_path)


def test_loaded_specs_cannot_be_changed(root: Path) -> None:
    bundle: Bundle = load_bundle(root)
    with pytest.raises(ValueError, match="frozen"):
        bundle.pipelines["orders"].catalog = "other"


def test_a_dashboards_file_is_relative_to_its_resources_file(root: Path) -> None:
    with (root / "resources" / "all.yml").open("a", encoding="utf-8") as file:
        file.write("  dashboards:\n    sales:\n      file_path: ../boards/sales.lvdash.json\n")
    (found,) = load_bundle(root).dashboards.values()
    assert found.file == root / "boards" / "sales.lvdash.json"
    assert found.location.startswith("resources/all.yml:")
    assert not found.schema_is_given


def test_a_run_makes_the_places_that_a_deployment_would(root: Path, tmp_path: Path) -> None:
    (root / "resources" / "places.yml").write_text(
        """
resources:
  schemas:
    raw: {catalog_name: lab, name: raw}
  volumes:
    incoming: {catalog_name: lab, schema_name: "${resources.schemas.raw.name}", name: incoming}
""",
        encoding="utf-8",
    )
    bundle = load_bundle(root)
    storage = Storage(tmp_path / "home")
    make_places(storage, bundle)
    assert (storage.volumes_root / "lab" / "raw" / "incoming").is_dir()
    assert (storage.tables_root / "lab" / "raw").is_dir()
    assert (storage.tables_root / "dev_catalog" / "sales_dev").is_dir()
    assert storage.tables() == []


def test_an_included_file_may_be_outside_of_the_bundle(root: Path) -> None:
    bundle = root / "bundle"
    bundle.mkdir()
    (root / "common").mkdir()
    (bundle / "databricks.yml").write_text(
        'bundle: {name: own}\ninclude: [../common/*.yml]\nvariables: {region: {default: "${var.area}"}}',
        encoding="utf-8",
    )
    (root / "common" / "vars.yml").write_text("variables: {area: {default: north}}", encoding="utf-8")
    assert load_bundle(bundle).variables["region"] == "north"
    (root / "common" / "vars.yml").write_text("variables: {area: {default: {}}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"^\.\./common/vars\.yml:\d: YAML"):
        load_bundle(bundle)
