"""Reconciliation finds a line that is lost, repeated, in the wrong place or without its reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pyspark.sql import Column, DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import ORDERS
from ecommerce_lakehouse.quality.quarantine import kept, quarantined, with_broken_rules
from ecommerce_lakehouse.quality.reconciliation import EntityTables, reconciliation
from ecommerce_lakehouse.quality.rules_quality import reconciliation_rules
from ecommerce_lakehouse.transforms.ingest import latest_per_key, parse, superseded
from tests.unit.bronze import bronze, line
from tests.unit.shop import judged

DROP = {"valid_json": "is_json", "valid_order_id": "order_id IS NOT NULL", "valid_quantity": "quantity > 0"}
# Ten lines: 5 orders of which one came twice more (once the same line in the same file), 3 that are bad.
LINES: list[tuple[str, bytes]] = [
    *[("a", line("orders", order_id=f"O-{number}")) for number in range(5)],
    ("a", line("orders", order_id="O-1")),
    ("b", line("orders", order_id="O-1", order_timestamp="2024-04-29T08:00:00")),
    ("b", line("orders", order_id=None)),
    ("b", line("orders", order_id=None, quantity=0)),
    ("c", b""),
]
BALANCED = {
    "input": 10,
    "good": 5,
    "quarantined": 3,
    "duplicates": 2,
    "difference": 0,
    "same_lines": True,
    "misjudged": 0,
    "without_reason": 0,
    "same_reasons": True,
    "same_newest": True,
    "broken_rules": [],
}
Tamper = Callable[[EntityTables], EntityTables]


def inverted(rows: DataFrame) -> DataFrame:
    """A `with_broken_rules` that records the rules that hold."""
    noted = [F.when(F.expr(constraint), F.lit(name)) for name, constraint in DROP.items()]
    return rows.withColumn("broken_rules", F.array_compact(F.array(*noted)))


def places(tables: EntityTables, judged_lines: DataFrame) -> EntityTables:
    """The tables after the lines are divided by their recorded reasons."""
    valid = kept(judged_lines)
    return replace(
        tables,
        judged=judged_lines,
        good=latest_per_key(valid, ORDERS),
        quarantined=quarantined(judged_lines),
        duplicates=superseded(valid, ORDERS).drop("newest_order_date"),
    )


def one(rows: DataFrame) -> DataFrame:
    """One of the rows, always the same."""
    return rows.orderBy("source_file", "line_hash").limit(1)


def rest(rows: DataFrame) -> DataFrame:
    """All rows except that one."""
    first = one(rows).select("source_file", "line_hash")
    return rows.join(first, ["source_file", "line_hash"], "left_anti")


def history_of(records: DataFrame, ended: str | None = None) -> DataFrame:
    """The records as versions of auto CDC, by default the current ones."""
    versions = records.drop("record_hash", "line_hash", "source_file", "ingested_at")
    return versions.withColumn("__END_AT", F.lit(ended).cast("timestamp"))


def with_older(tables: EntityTables) -> DataFrame:
    """The good rows, but with the oldest record of the order that came three times."""
    oldest = tables.duplicates.where("source_file = 'b'")
    return tables.good.where("order_id <> 'O-1'").union(oldest)


def without_rule(rows: DataFrame, rule: str) -> DataFrame:
    """The rows as if the rule had not been evaluated."""
    return rows.withColumn("broken_rules", F.array_remove("broken_rules", rule))


def next_ones_reasons() -> Column:
    """Each line with the reasons of the line that has the next more of them; the last takes the first's."""
    following = F.lead("broken_rules").over(Window.orderBy(F.size("broken_rules")))
    return F.coalesce(following, F.array(F.lit("valid_order_id")))


# Changes to the tables, and every rule of reconciliation that each breaks.
TAMPERED: dict[str, tuple[Tamper, set[str]]] = {
    "as they are": (lambda it: it, set()),
    "a good row is lost": (
        lambda it: replace(it, good=rest(it.good)),
        {"every_line_counted", "every_line_in_one_place"},
    ),
    "a quarantined row is lost": (
        lambda it: replace(it, quarantined=rest(it.quarantined)),
        {"every_line_counted", "every_line_in_one_place", "no_reason_lost"},
    ),
    "a duplicate is not counted": (
        lambda it: replace(it, duplicates=it.duplicates.limit(0)),
        {"every_line_counted", "every_line_in_one_place"},
    ),
    # The counts are right: one row of quarantine is in both tables, and a good one in neither.
    "a row is in both, another in none": (
        lambda it: replace(
            it,
            good=rest(it.good)
            .select("source_file", "line_hash")
            .union(one(it.quarantined).select("source_file", "line_hash")),
        ),
        {"every_line_in_one_place"},
    ),
    "a row is in both": (
        lambda it: replace(
            it,
            good=it.good.select("source_file", "line_hash").union(
                one(it.quarantined).select("source_file", "line_hash")
            ),
        ),
        {"every_line_counted", "every_line_in_one_place"},
    ),
    "the filters are exchanged": (
        lambda it: replace(
            it,
            good=it.judged.where("size(broken_rules) > 0"),
            quarantined=it.judged.where("size(broken_rules) = 0"),
            duplicates=it.duplicates.limit(0),
        ),
        {"every_quarantined_line_has_a_reason", "no_reason_lost"},
    ),
    "the rules are inverted": (lambda it: places(it, inverted(it.judged)), {"judged_by_the_rules"}),
    "a rule is never asked": (
        lambda it: places(it, without_rule(it.judged, "valid_json")),
        {"judged_by_the_rules"},
    ),
    "a reason is lost": (
        lambda it: replace(
            it,
            quarantined=it.quarantined.withColumn("broken_rules", F.slice("broken_rules", 1, 2)),
        ),
        {"no_reason_lost"},
    ),
    "all reasons are lost": (
        lambda it: replace(
            it, quarantined=it.quarantined.withColumn("broken_rules", F.lit(None).cast("array<string>"))
        ),
        {"every_quarantined_line_has_a_reason", "no_reason_lost"},
    ),
    "a reason is at another line": (
        lambda it: replace(
            it,
            quarantined=it.quarantined.withColumn("broken_rules", next_ones_reasons()),
        ),
        {"no_reason_lost"},
    ),
    "a line is parsed twice": (
        lambda it: places(it, it.judged.union(one(it.judged))),
        {"every_line_counted", "every_line_in_one_place"},
    ),
    "nothing has arrived": (
        lambda it: EntityTables(
            it.entity,
            it.drop,
            *[table.limit(0) for table in (it.arrived, it.judged, it.good, it.quarantined, it.duplicates)],
        ),
        set(),
    ),
    "the history keeps another record": (
        lambda it: replace(it, history=history_of(with_older(it))),
        {"one_newest_record"},
    ),
    "the history lacks a record": (
        lambda it: replace(it, history=history_of(rest(it.good))),
        {"one_newest_record"},
    ),
    "the history keeps the same records, and older ones": (
        lambda it: replace(
            it, history=history_of(it.good).union(history_of(it.duplicates, ended="2024-05-01"))
        ),
        set(),
    ),
    # Rules have changed since: the lines are judged by them when they are parsed again.
    "the rules were others": (lambda it: replace(it, drop={**DROP, "later": "false"}), set()),
}


@pytest.fixture(scope="module")
def reconciled(spark: SparkSession) -> dict[str, Row]:
    """The reconciliation of every case, in one job."""

    def stored(rows: DataFrame) -> DataFrame:
        return spark.createDataFrame(rows.collect(), rows.schema).coalesce(1)

    files = F.array(*[F.lit(name) for name, _ in LINES])
    numbered = bronze(spark, [raw for _, raw in LINES])
    arrived = stored(numbered.withColumn("source_file", files[F.col("source_file").cast("int")]))
    parsed = stored(with_broken_rules(parse(arrived, ORDERS), DROP))
    plain = places(EntityTables("", DROP, arrived, parsed, parsed, parsed, parsed), parsed)
    tables = replace(
        plain,
        good=stored(plain.good),
        quarantined=stored(plain.quarantined),
        duplicates=stored(plain.duplicates),
    )
    entities = [tamper(replace(tables, entity=name)) for name, (tamper, _) in TAMPERED.items()]
    rows = judged(reconciliation(entities), reconciliation_rules()).collect()
    return {row.entity: row for row in rows}


def test_every_line_is_good_quarantined_or_a_duplicate(reconciled: dict[str, Row]) -> None:
    assert reconciled["as they are"].asDict() == {"entity": "as they are"} | BALANCED


def test_an_entity_of_which_nothing_arrived_has_its_row(reconciled: dict[str, Row]) -> None:
    row = reconciled["nothing has arrived"]
    assert (row.input, row.good, row.quarantined, row.duplicates, row.difference) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("case", TAMPERED)
def test_every_change_of_the_tables_is_found(reconciled: dict[str, Row], case: str) -> None:
    assert set(reconciled[case].broken_rules) == TAMPERED[case][1]


def test_lines_of_a_rule_that_was_not_evaluated_are_counted(reconciled: dict[str, Row]) -> None:
    # One line breaks valid_json; without the mark it still breaks the other two.
    assert reconciled["a rule is never asked"].misjudged == 1
    assert reconciled["the rules are inverted"].misjudged == 10
    assert reconciled["all reasons are lost"].without_reason == 3
