"""Settings per environment: which one applies, its values, and the errors of wrong ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from ecommerce_lakehouse import config as package
from ecommerce_lakehouse.config import (
    ConfigError,
    get_config,
    log_pipeline_config,
    resolve,
    widget_environment,
)
from ecommerce_lakehouse.config.settings import settings_file
from lakerun.spark.active_session import activate
from lakerun.spark.session import session_with

ENVIRONMENTS = ("local", "dev", "staging", "prod")


@pytest.fixture(autouse=True)
def _neither_variable_nor_databricks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIPELINE_ENV", "CATALOG_NAME", "SCHEMA_NAME", "VOLUME_NAME", "DATABRICKS_RUNTIME_VERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def dev_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the development settings that a test may change."""
    copy = tmp_path / "dev_config.json"
    original = settings_file("dev").read_text(encoding="utf-8")
    copy.write_text(original, encoding="utf-8")
    monkeypatch.setattr(resolve, "settings_file", lambda _environment: copy)
    resolve._load.cache_clear()
    yield copy
    resolve._load.cache_clear()


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")


# Values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "catalog", "files", "file_size", "log_days"),
    [
        ("local", "local", 100, 64, 60),
        ("dev", "juan_dev", 100, 64, 60),
        ("staging", "staging", 500, 128, 60),
        ("prod", "prod", 1000, 256, 90),
    ],
)
def test_each_environment_has_its_own_values(
    environment: str, catalog: str, files: int, file_size: int, log_days: int
) -> None:
    config = get_config(environment)
    assert (config.environment, config.catalog, config.schema, config.volume) == (
        environment,
        catalog,
        "data_eng",
        "data",
    )
    assert config.max_files_per_trigger == files
    assert config.target_file_size_mb == file_size
    assert config.log_retention_days == log_days
    assert config.max_bytes_per_trigger == ("256m" if environment == "local" else "1g")
    assert config.vacuum_retention_hours == 168
    assert config.watermark_delay == "10 minutes"
    for name in ("max_price", "max_quantity", "popularity_buyer_weight", "popularity_unit_weight"):
        assert getattr(config, name) > 0, name
    assert 0 < config.standard_customer_threshold < config.premium_customer_threshold
    assert 0 < config.regular_customer_orders < config.frequent_customer_orders
    assert config.issue_rate == 0.05


def test_each_environment_generates_its_own_number_of_rows() -> None:
    rows = {name: get_config(name).rows_generated for name in ENVIRONMENTS}
    # The default main job: 10 thousand orders, 20 thousand activities, 1 thousand customers.
    assert (rows["local"].orders, rows["local"].customer_activity, rows["local"].customers) == (
        10_000,
        20_000,
        1_000,
    )
    assert rows["dev"].orders <= rows["staging"].orders <= rows["prod"].orders
    assert all(each.days >= 1 for each in rows.values())


def test_only_in_prod_is_data_delivered() -> None:
    assert {name: get_config(name).source_data for name in ENVIRONMENTS} == {
        "local": "generated", "dev": "generated", "staging": "generated", "prod": "delivered",
    }  # fmt: skip


def test_the_environments_are_those_with_a_settings_file() -> None:
    folder = Path(package.__file__).parent
    files = {file.name.removesuffix("_config.json") for file in folder.glob("*_config.json")}
    assert files == set(package.ENVIRONMENTS) == set(ENVIRONMENTS)


def test_settings_cannot_be_changed() -> None:
    config = get_config("dev")
    with pytest.raises(ValidationError, match="frozen"):
        config.max_price = 1.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        config.rows_generated.orders = 1  # type: ignore[misc]


# Which environment ----------------------------------------------------------------------------------------


def test_without_any_choice_it_is_dev() -> None:
    assert get_config().environment == "dev"


def test_the_variable_chooses_and_an_argument_beats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_ENV", "prod")
    assert get_config().environment == "prod"
    assert get_config("staging").environment == "staging"


def test_an_empty_variable_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_ENV", "")
    assert get_config().environment == "dev"


@pytest.fixture
def warm(spark: SparkSession) -> Iterator[SparkSession]:
    """The shared session, the active one again afterwards."""
    yield spark
    activate(spark)


def test_a_pipelines_configuration_beats_the_variable_and_an_argument_beats_both(
    warm: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_ENV", "prod")
    with session_with({"PIPELINE_ENV": "staging"}):
        assert get_config().environment == "staging"
        assert get_config("local").environment == "local"
    assert get_config().environment == "prod"


def test_names_of_a_pipelines_configuration_beat_variables_and_these_the_file(
    warm: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA_NAME", "from_variable")
    monkeypatch.setenv("VOLUME_NAME", "landing")
    with session_with({"CATALOG_NAME": "sandbox", "SCHEMA_NAME": "dev_ana_data_eng"}):
        config = get_config("dev")
    assert (config.catalog, config.schema, config.volume) == ("sandbox", "dev_ana_data_eng", "landing")
    assert config.get_table_name("silver", "orders") == "sandbox.dev_ana_data_eng.silver_orders"
    assert config.orders_source_path.endswith("/sandbox/dev_ana_data_eng/landing/orders_raw")
    outside = get_config("dev")
    assert (outside.catalog, outside.schema, outside.volume) == ("juan_dev", "from_variable", "landing")


def test_a_session_that_raises_for_what_is_not_set_leaves_it_to_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Databricks does, whatever default it is given; any other error is not hidden."""
    given = {"SCHEMA_NAME": "from_session"}

    def get(key: str, default: str | None) -> str:
        if key not in given:
            raise AnalysisException(f"[CONFIG_NOT_AVAILABLE] Configuration {key} is not available.")
        if given[key] == "broken":
            raise AnalysisException("[SESSION_CLOSED] The session is closed.")
        return given[key]

    session = SimpleNamespace(conf=SimpleNamespace(get=get))
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: session)
    monkeypatch.setenv("PIPELINE_ENV", "staging")
    config = get_config()
    assert (config.environment, config.catalog, config.schema) == ("staging", "staging", "from_session")
    given["PIPELINE_ENV"] = "broken"
    with pytest.raises(AnalysisException, match="SESSION_CLOSED"):
        get_config()


def test_a_notebooks_widget_names_the_environment() -> None:
    offered: list[tuple[str, str, str]] = []
    widgets = SimpleNamespace(
        text=lambda name, default, label: offered.append((name, default, label)),
        get={"environment": "staging"}.__getitem__,
    )
    environment = widget_environment(SimpleNamespace(widgets=widgets))
    assert get_config(environment).catalog == "staging"
    assert offered == [("environment", "dev", "Environment (local/dev/staging/prod)")]


# Wrong settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["argument", "variable"])
def test_an_unknown_environment_is_one_line_with_the_valid_ones(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "variable":
        monkeypatch.setenv("PIPELINE_ENV", "production")
    with pytest.raises(ConfigError) as raised:
        get_config("production" if source == "argument" else None)
    assert str(raised.value) == (
        "Unknown environment 'production'. Valid environments: local, dev, staging, prod."
    )


def test_every_bad_value_of_a_file_is_in_one_line_with_the_valid_ones(dev_settings: Path) -> None:
    change(
        dev_settings,
        max_quantity=0,
        schema_evolution_mode="sometimes",
        watermark_delay="soon",
        vacuum_retention_hours=24,
        rows_generated={"orders": 0, "customer_activity": 1, "customers": 1},
        colour="red",
    )
    with pytest.raises(ConfigError) as raised:
        get_config("dev")
    message = str(raised.value)
    assert message.startswith("dev_config.json: ")
    assert "\n" not in message
    for part in (
        "max_quantity: Input should be greater than or equal to 1 (given: 0)",
        "schema_evolution_mode: Input should be 'none', 'rescue', 'addNewColumns' or 'failOnNewColumns'",
        "(given: 'sometimes')",
        "watermark_delay: ",
        "(given: 'soon')",
        "vacuum_retention_hours: Input should be greater than or equal to 168 (given: 24)",
        "rows_generated.orders: Input should be greater than or equal to 1 (given: 0)",
        "colour: ",
    ):
        assert part in message, part


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("standard_customer_threshold", "premium_customer_threshold"),
        ("regular_customer_orders", "frequent_customer_orders"),
        ("churn_medium_risk_days", "churn_high_risk_days"),
    ],
)
def test_a_lower_threshold_has_to_be_below_the_higher(dev_settings: Path, low: str, high: str) -> None:
    change(dev_settings, **{low: 7, high: 7})
    with pytest.raises(ConfigError, match=rf"^dev_config\.json: settings: .*{low} must be below {high}$"):
        get_config("dev")


def test_a_missing_value_is_named(dev_settings: Path) -> None:
    values = json.loads(dev_settings.read_text(encoding="utf-8"))
    del values["max_price"]
    dev_settings.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^dev_config\.json: max_price: Field required$"):
        get_config("dev")


@pytest.mark.parametrize("text", ['{"catalog": ', None], ids=["truncated", "missing"])
def test_a_file_that_cannot_be_read_is_one_line(dev_settings: Path, text: str | None) -> None:
    dev_settings.unlink()
    if text is not None:
        dev_settings.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        get_config("dev")
    assert str(raised.value).startswith("dev_config.json cannot be read: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", ["two words", "1st", "a;drop", "semi`tick", "../up"])
def test_a_name_that_is_not_an_identifier_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_NAME", value)
    with pytest.raises(ConfigError) as raised:
        get_config("dev")
    assert str(raised.value).startswith("SCHEMA_NAME: schema: ")
    assert f"(given: {value!r})" in str(raised.value)
    assert "\n" not in str(raised.value)


# Names, properties, options -------------------------------------------------------------------------------


def test_a_tables_name_is_catalog_schema_layer_and_entity() -> None:
    config = get_config("dev")
    assert config.get_table_name("bronze", "orders") == "juan_dev.data_eng.bronze_orders"
    assert config.get_table_name("silver", "customers") == "juan_dev.data_eng.silver_customers"
    assert config.get_table_name("gold", "daily_sales") == "juan_dev.data_eng.gold_daily_sales"
    with pytest.raises(
        ConfigError,
        match=r"^Unknown layer 'platinum'\. Valid: bronze, silver, gold, feature, quarantine, quality\.$",
    ):
        config.get_table_name("platinum", "orders")  # type: ignore[arg-type]
    for entity in ("", "Daily Sales", "sales;", "1st", "a.b"):
        with pytest.raises(ConfigError, match="is not a valid entity name"):
            config.get_table_name("gold", entity)


@pytest.mark.parametrize(("environment", "size", "days"), [("dev", "64mb", 60), ("prod", "256mb", 90)])
def test_the_properties_of_every_layer(environment: str, size: str, days: int) -> None:
    config = get_config(environment)
    shared = {
        "delta.autoOptimize.optimizeWrite": "true",
        "delta.autoOptimize.autoCompact": "true",
        "delta.targetFileSize": size,
        "delta.logRetentionDuration": f"interval {days} days",
        "delta.deletedFileRetentionDuration": "interval 168 hours",
    }
    assert config.get_bronze_table_properties(["order_id", "order_date"]) == shared | {
        "quality": "bronze",
        "delta.appendOnly": "true",
        "pipelines.autoOptimize.zOrderCols": "order_id,order_date",
    }
    assert config.get_silver_table_properties(["customer_id"]) == shared | {
        "quality": "silver",
        "delta.enableChangeDataFeed": "true",
        "delta.enableDeletionVectors": "true",
        "pipelines.autoOptimize.zOrderCols": "customer_id",
    }
    assert config.get_gold_table_properties() == shared | {
        "quality": "gold",
        "delta.enableDeletionVectors": "true",
    }


def test_on_a_laptop_files_come_from_the_data_folder_with_options_that_spark_takes(home: Path) -> None:
    config = get_config("staging")
    volume = f"{home}/volumes/staging/data_eng/data"
    assert config.orders_source_path == f"{volume}/orders_raw"
    assert config.customer_activity_source_path == f"{volume}/customer_activity_raw"
    assert config.customer_profiles_source_path == f"{volume}/customer_profiles_raw"
    # No pipeline ingests the folder of the manifests.
    assert config.manifests_path == f"{volume}/manifests"
    assert config.stream_format == "text"
    options = config.get_streaming_options()
    assert options["maxBytesPerTrigger"] == "1073741824"  # it takes no unit
    assert "maxFilesPerTrigger" not in options  # Spark takes one of the two
    assert not any(key.startswith("cloudFiles.") for key in options)


def test_on_databricks_auto_loader_reads_the_volume_with_both_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "client.2.5")
    config = get_config("prod")
    assert config.orders_source_path == "/Volumes/prod/data_eng/data/orders_raw"
    assert config.stream_format == "cloudFiles"
    assert config.get_streaming_options() == {
        "cloudFiles.format": "text",
        "cloudFiles.maxFilesPerTrigger": "1000",
        "cloudFiles.maxBytesPerTrigger": "1g",
        "cloudFiles.schemaEvolutionMode": "none",
        "cloudFiles.allowOverwrites": "false",
    }


def test_one_setting_decides_in_both_places_whether_changed_files_are_read_again(home: Path) -> None:
    config = get_config("local").model_copy(update={"allow_overwrites": True})
    assert config.get_streaming_options()["allowOverwrites"] == "true"
    on_databricks = config.model_copy(update={"on_databricks": True}).get_streaming_options()
    assert on_databricks["cloudFiles.allowOverwrites"] == "true"


def test_a_pipelines_start_prints_the_settings_that_decide_its_figures(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = log_pipeline_config(get_config("prod"))
    assert capsys.readouterr().out.splitlines() == lines
    assert lines == [
        "Pipeline Environment: prod",
        "Target Catalog.Schema: prod.data_eng",
        f"Source Path: {home}/volumes/prod/data_eng/data/orders_raw",
        "Max Files per Trigger: 1000",
        "Target File Size: 256MB",
        "Watermark Delay: 10 minutes",
        "Premium Customer Threshold: 5000.00",
        "Max Quantity Allowed: 100",
        "Max Price Allowed: 10000.00",
    ]


def test_settings_are_read_without_spark() -> None:
    code = (
        "import sys; from ecommerce_lakehouse.config import get_config; print(get_config().environment);"
        "print(any(name.split('.')[0] in ('pyspark', 'py4j') for name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert (result.stdout.split(), result.stderr) == (["dev", "False"], "")
