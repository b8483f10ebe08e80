"""From an entity to its datasets: one call declares bronze, one declares silver with its quarantine.

    bronze_<name>              every line as it arrived
    silver_<target>_parsed     every line, typed, with the rules that it breaks
    quarantine_<target>        the lines that break a rule, raw, with all reasons
    silver_<target>            one row per key, from the lines that break none
    silver_<target>_duplicates the valid lines that another one superseded
    silver_<target>_history    every version of a key, if the entity requests it

`declare_quality` declares the datasets that check a pipeline's other datasets as a whole:

    quality_checks_<pipeline>          one row per rule of a dataset
    quality_reconciliation_<pipeline>  one row per entity: where its lines are
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark import pipelines
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.erased import Erased, erased_people
from ecommerce_lakehouse.domain.entities import Entity
from ecommerce_lakehouse.quality.checks import quality_checks
from ecommerce_lakehouse.quality.expectations import expect_rules
from ecommerce_lakehouse.quality.quarantine import (
    BROKEN_RULES,
    JUDGED_BY,
    kept,
    quarantined,
    with_broken_rules,
)
from ecommerce_lakehouse.quality.reconciliation import EntityTables, reconciliation
from ecommerce_lakehouse.quality.rules import pipeline_rules, rules_for
from ecommerce_lakehouse.transforms.erased import names_erased
from ecommerce_lakehouse.transforms.ingest import (
    CHECKS,
    latest_per_key,
    parse,
    sequence,
    superseded,
    to_bronze,
)

# Databricks' and the engine's modules offer more than open-source Spark's type hints know.
dp: Any = pipelines

# Columns of silver_<target>_parsed that silver_<target> lacks.
HELPERS = [*CHECKS, "raw_line", BROKEN_RULES, JUDGED_BY]
ERASED = "of_an_erased_person"


def declare_bronze(entity: Entity, config: LakehouseConfig) -> None:
    """Declare the streaming table of an entity's raw lines, without those of people who were erased."""
    erased = erased_people(config)

    @dp.table(
        name=config.get_table_name("bronze", entity.name),
        comment=f"Lines of {entity.name} as they arrived, byte for byte",
        table_properties=config.get_bronze_table_properties(),
    )
    @expect_rules(rules_for(f"bronze_{entity.name}", config))
    def bronze() -> DataFrame:
        return remaining_lines(entity, config) if erased else arriving_lines(entity, config)

    if erased:
        _declare_arrivals(entity, config, erased)


def _declare_arrivals(entity: Entity, config: LakehouseConfig, erased: Erased) -> None:
    """Declare the view that drops, and counts, the lines of people who were erased."""

    @dp.temporary_view(name=f"arriving_{entity.name}")
    @dp.expect_or_drop("not_of_an_erased_person", f"NOT {ERASED}")
    def arriving() -> DataFrame:
        lines = arriving_lines(entity, config)
        return lines.withColumn(ERASED, names_erased(lines["raw_line"], erased))


def remaining_lines(entity: Entity, config: LakehouseConfig) -> DataFrame:
    """The stream of an entity's lines without those of erased people; columns as in bronze."""
    return SparkSession.active().readStream.table(f"arriving_{entity.name}").drop(ERASED)


def arriving_lines(entity: Entity, config: LakehouseConfig) -> DataFrame:
    """The stream of an entity's lines, from the files of its landing zone; columns as in bronze."""
    reader = SparkSession.active().readStream.format(config.stream_format).option("lineSep", "\n")
    lines = reader.options(**config.get_streaming_options()).load(config.folder_path(entity.folder))
    return to_bronze(lines, config.environment)


def declare_silver(entity: Entity, config: LakehouseConfig, *, z_order: list[str]) -> None:
    """Declare an entity's silver tables and its quarantine, so that every line ends in exactly one place."""
    rules = rules_for(f"silver_{entity.target}", config)
    target = config.get_table_name("silver", entity.target)
    parsed = config.get_table_name("silver", f"{entity.target}_parsed")
    properties = config.get_silver_table_properties(z_order)

    @dp.table(
        name=parsed,
        comment=f"Every line of {entity.name}, typed, with the rules that it breaks",
        table_properties=properties,
    )
    @expect_rules(rules, "warn")
    def parsed_rows() -> DataFrame:
        lines = streamed(config.get_table_name("bronze", entity.name))
        return with_broken_rules(parse(lines, entity), rules.drop)

    @dp.table(
        name=config.get_table_name("quarantine", entity.target),
        comment=f"Lines of {entity.name} that break a rule, with every reason",
        table_properties=properties,
    )
    @expect_rules(rules_for(f"quarantine_{entity.target}", config))
    def quarantine() -> DataFrame:
        return quarantined(streamed(parsed))

    @dp.temporary_view(name=f"valid_{entity.target}")
    @expect_rules(rules, "drop", "fail")
    def valid_rows() -> DataFrame:
        return streamed(parsed)

    dp.create_streaming_table(
        name=target,
        comment=f"One row per {entity.key}: the newest valid record",
        table_properties=properties,
    )
    dp.create_auto_cdc_flow(
        target=target,
        source=f"valid_{entity.target}",
        keys=[entity.key],
        sequence_by=sequence(entity),
        except_column_list=HELPERS,
        stored_as_scd_type=1,
    )

    @dp.materialized_view(
        name=config.get_table_name("silver", f"{entity.target}_duplicates"),
        comment=f"Valid records of {entity.name} that another one with the same {entity.key} superseded",
        table_properties=properties,
    )
    @expect_rules(rules_for(f"silver_{entity.target}_duplicates", config))
    def duplicates() -> DataFrame:
        valid = kept(SparkSession.active().read.table(parsed)).drop(*HELPERS)
        return superseded(valid, entity)

    if entity.history:
        _declare_history(entity, config, parsed)


def declare_batch_silver(entity: Entity, config: LakehouseConfig, *, z_order: list[str]) -> None:
    """Declare the tables of `declare_silver` as materialized views: each update computes them as a whole."""
    rules = rules_for(f"silver_{entity.target}", config)
    parsed = config.get_table_name("silver", f"{entity.target}_parsed")
    valid = f"valid_{entity.target}"
    properties = config.get_silver_table_properties(z_order)

    @dp.materialized_view(
        name=parsed,
        comment=f"Every line of {entity.name}, typed, with the rules that it breaks",
        table_properties=properties,
    )
    @expect_rules(rules, "warn")
    def parsed_rows() -> DataFrame:
        lines = SparkSession.active().read.table(config.get_table_name("bronze", entity.name))
        return with_broken_rules(parse(lines, entity), rules.drop)

    @dp.materialized_view(
        name=config.get_table_name("quarantine", entity.target),
        comment=f"Lines of {entity.name} that break a rule, with every reason",
        table_properties=properties,
    )
    @expect_rules(rules_for(f"quarantine_{entity.target}", config))
    def quarantine() -> DataFrame:
        return quarantined(SparkSession.active().read.table(parsed))

    @dp.temporary_view(name=valid)
    @expect_rules(rules, "drop", "fail")
    def valid_rows() -> DataFrame:
        return SparkSession.active().read.table(parsed)

    @dp.materialized_view(
        name=config.get_table_name("silver", entity.target),
        comment=f"One row per {entity.key}: the newest valid record",
        table_properties=properties,
    )
    def newest() -> DataFrame:
        return latest_per_key(SparkSession.active().read.table(valid).drop(*HELPERS), entity)

    @dp.materialized_view(
        name=config.get_table_name("silver", f"{entity.target}_duplicates"),
        comment=f"Valid records of {entity.name} that another one with the same {entity.key} superseded",
        table_properties=properties,
    )
    @expect_rules(rules_for(f"silver_{entity.target}_duplicates", config))
    def duplicates() -> DataFrame:
        return superseded(kept(SparkSession.active().read.table(parsed)).drop(*HELPERS), entity)


def declare_quality(pipeline: str, entities: Sequence[Entity], config: LakehouseConfig) -> None:
    """Declare the datasets that check a pipeline's others; they fail the update if a rule says so.

    `entities` are those whose lines the pipeline divides; without any there is no reconciliation.
    """

    @dp.materialized_view(
        name=config.get_table_name("quality", f"checks_{pipeline}"),
        comment=f"One row per rule of a whole dataset of {pipeline}, with what breaks it and the verdict",
        table_properties=config.get_gold_table_properties(),
    )
    @expect_rules(rules_for(f"quality_checks_{pipeline}", config))
    def rules_of_datasets() -> DataFrame:
        return quality_checks(pipeline_rules(pipeline, config), lambda dataset: _table(dataset, config))

    if not entities:
        return

    @dp.materialized_view(
        name=config.get_table_name("quality", f"reconciliation_{pipeline}"),
        comment=f"One row per entity of {pipeline}: where its lines are; one astray fails the update",
        table_properties=config.get_gold_table_properties(),
    )
    @expect_rules(rules_for(f"quality_reconciliation_{pipeline}", config))
    def places_of_lines() -> DataFrame:
        return reconciliation(
            [
                EntityTables.of(
                    entity,
                    rules_for(f"silver_{entity.target}", config).drop,
                    lambda dataset: _table(dataset, config),
                )
                for entity in entities
            ]
        )


def streamed(table: str) -> DataFrame:
    """The stream of a table's rows, which goes on when people were erased from the table."""
    return SparkSession.active().readStream.option("skipChangeCommits", "true").table(table)


def _table(dataset: str, config: LakehouseConfig) -> DataFrame:
    return SparkSession.active().read.table(f"{config.catalog}.{config.schema}.{dataset}")


def _declare_history(entity: Entity, config: LakehouseConfig, parsed: str) -> None:
    target = config.get_table_name("silver", f"{entity.target}_history")

    @dp.temporary_view(name=f"versions_of_{entity.target}")
    @expect_rules(rules_for(f"silver_{entity.target}_history", config))
    def versions() -> DataFrame:
        return kept(streamed(parsed))

    dp.create_streaming_table(
        name=target,
        comment=f"Every version of a {entity.key}, from one record to the next newer one",
        table_properties=config.get_silver_table_properties([entity.key]),
    )
    dp.create_auto_cdc_flow(
        target=target,
        source=f"versions_of_{entity.target}",
        keys=[entity.key],
        sequence_by=sequence(entity),
        except_column_list=[*HELPERS, "record_hash", "line_hash", "source_file", "ingested_at"],
        stored_as_scd_type=2,
    )
