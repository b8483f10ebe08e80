"""The generated parts of the documents match the code."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from ecommerce_lakehouse.config import ENVIRONMENTS, get_config
from ecommerce_lakehouse.domain.entities import ENTITIES
from ecommerce_lakehouse.quality.rules import (
    datasets_with_rules,
    pipeline_rules,
    pipelines_with_rules,
    rules_for,
)
from lakerun.bundles.load import Bundle, load_bundle
from lakerun.pipelines.definitions import load_definitions
from tests.unit.documents import DOCUMENTS, LAYERS, README, ROOT, TABLE_ROW, TABLES, TABLES_PAGE, blocks
from tools.generate_docs import generated


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(ROOT)


def test_the_generated_parts_are_up_to_date(spark: Any) -> None:
    """`uv run python -m tools.generate_docs` writes them."""
    outdated = {
        str(file.relative_to(ROOT)): text
        for file, text in generated(spark).items()
        if file.read_text(encoding="utf-8") != text
    }
    assert outdated == {}


def test_the_tables_page_lists_exactly_the_tables_that_the_pipelines_declare(
    bundle: Bundle, spark: Any
) -> None:
    declared = {
        output.name.split(".")[-1]: output.comment
        for spec in bundle.pipelines.values()
        for output in load_definitions(spec.source_files, spark, spec.root_path).datasets.values()
        if output.kind != "VIEW"
    }
    assert declared == TABLES


def test_every_table_that_a_pipeline_declares_has_rules(bundle: Bundle) -> None:
    config = get_config("local")
    # The lines of silver_<entity>_parsed are judged by the rules of silver_<entity>.
    declared = {table.removesuffix("_parsed") for table in TABLES}
    assert declared == set(datasets_with_rules(config))
    folders = {folder.name for folder in (ROOT / "src" / "pipelines").iterdir() if any(folder.glob("*.py"))}
    assert folders == set(pipelines_with_rules())
    assert all(pipeline_rules(name, config) for name in folders)


def test_the_tables_page_lists_a_table_once_and_under_its_layer() -> None:
    assert len(TABLE_ROW.findall(TABLES_PAGE)) == len(TABLES)
    sections = re.findall(r"^## (\w+)\n\n((?:\|.*\n)+)", TABLES_PAGE, re.MULTILINE)
    layers = {title.lower().removesuffix("s"): TABLE_ROW.findall(rows) for title, rows in sections}
    assert sorted(layers) == sorted(LAYERS)
    for layer, rows in layers.items():
        assert rows
        assert {name.partition("_")[0] for name, *_ in rows} == {layer}


def test_the_picture_shows_exactly_the_tables_of_the_tables_page() -> None:
    svg = ET.parse(ROOT / "docs" / "data_flow.svg")
    shown = {
        str(text.get("id")): text.text for text in svg.findall(".//{*}text") if text.get("class") == "name"
    }
    tables = {name: text for name, text in shown.items() if name.startswith(LAYERS)}
    assert tables.keys() == TABLES.keys()
    assert all(name in (text, f"{name.partition('_')[0]}_{text}") for name, text in tables.items())
    folders = {shown[name] for name in shown.keys() - tables.keys()}
    assert folders == {entity.folder for entity in ENTITIES.values()}


def test_the_example_output_names_tables_and_expectations_that_exist() -> None:
    config = get_config("local")
    (output,) = blocks(README, "text")
    tables = set(re.findall(rf"\b(?:{'|'.join(LAYERS)})_\w+", output))
    expectations = set(re.findall(r"(\w+) (?:warned|quarantined|dropped|failed) \d", output))
    assert tables
    assert tables <= TABLES.keys()
    rules = {
        rule.name for dataset in datasets_with_rules(config) for rule in rules_for(dataset, config).rules
    }
    assert expectations
    assert expectations <= rules


def test_the_environments_are_as_their_settings_say() -> None:
    rows = re.findall(
        r"^\| (local|dev|staging|prod) \| (.+) \|$", DOCUMENTS["docs/configuration.md"], re.MULTILINE
    )
    expected = []
    for name in ENVIRONMENTS:
        config = get_config(name)
        expected.append(
            (
                name,
                f"{config.catalog} | {config.max_files_per_trigger} | {config.target_file_size_mb} MB | "
                f"{config.log_retention_days} days | "
                + ("none: delivered" if name == "prod" else f"{config.rows_generated.orders:,}"),
            )
        )
    assert rows == expected


def test_every_pipeline_of_the_tables_page_declares_its_tables(bundle: Bundle, spark: Any) -> None:
    pipelines = {name: pipeline for name, _, pipeline in TABLE_ROW.findall(TABLES_PAGE)}
    for key, spec in bundle.pipelines.items():
        datasets = load_definitions(spec.source_files, spark, spec.root_path).datasets.values()
        declared = {dataset.name.split(".")[-1] for dataset in datasets if dataset.kind != "VIEW"}
        assert declared == {name for name, pipeline in pipelines.items() if pipeline == key}
