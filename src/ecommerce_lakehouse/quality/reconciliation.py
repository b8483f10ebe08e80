"""Reconciliation: every line that arrived is good, quarantined or a duplicate, and in one place only.

Counts cannot show that one line is in two places and another in none, so the lines are compared as well, by
sums of their hashes: these are equal for equal bags of lines, and for others with a chance of about one in
2^64. One pass over each table, no join.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import Entity
from ecommerce_lakehouse.quality.quarantine import BROKEN_RULES, JUDGED_BY, fingerprint
from ecommerce_lakehouse.transforms.ingest import line_hash


@dataclass(frozen=True)
class EntityTables:
    """The tables between which an entity's lines are divided, and the rules (`drop`) that divide them.

    `arrived` is bronze; `judged` is every line with the rules that it breaks; `good`, `quarantined` and
    `duplicates` are the three places where a line can end; `history` has every version of a record, if kept.
    """

    entity: str
    drop: Mapping[str, str]
    arrived: DataFrame
    judged: DataFrame
    good: DataFrame
    quarantined: DataFrame
    duplicates: DataFrame
    history: DataFrame | None = None

    @classmethod
    def of(cls, entity: Entity, drop: Mapping[str, str], read: Callable[[str], DataFrame]) -> EntityTables:
        """The tables of an entity; `read` returns a dataset's table by its `<layer>_<entity>` name."""
        return cls(
            entity=entity.name,
            drop=drop,
            arrived=read(f"bronze_{entity.name}"),
            judged=read(f"silver_{entity.target}_parsed"),
            good=read(f"silver_{entity.target}"),
            quarantined=read(f"quarantine_{entity.target}"),
            duplicates=read(f"silver_{entity.target}_duplicates"),
            history=read(f"silver_{entity.target}_history") if entity.history else None,
        )


def reconciliation(entities: Sequence[EntityTables]) -> DataFrame:
    """One row per entity, each place counted on its own.

    Out: `entity` STRING; `input`, `good`, `quarantined`, `duplicates` BIGINT, rows of each, NULLs included;
    `difference` BIGINT: input - good - quarantined - duplicates; `same_lines` BOOLEAN: the three places
    together hold the lines that arrived, each equally often; `misjudged` BIGINT: lines whose recorded reasons
    are not the rules that they break, among those judged by today's rules; `without_reason` BIGINT:
    quarantined lines without one; `same_reasons` BOOLEAN: quarantine holds exactly the lines for which a
    reason was recorded, with exactly these reasons; `same_newest` BOOLEAN: the history's current versions are
    the good records, true without a history. Sums overflow beyond 2^31 lines of an entity.
    """
    rows = reduce(DataFrame.union, [part for tables in entities for part in _parts(tables)])
    counts = rows.groupBy("entity").agg(
        *[_count(place).alias(name) for place, name in COUNTED.items()],
        _balanced("line", plus=("arrived",), minus=("good", "quarantined", "duplicates")).alias("same_lines"),
        F.count_if("misjudged").alias("misjudged"),
        F.count_if((F.col("place") == "quarantined") & F.col("reasons").isNull()).alias("without_reason"),
        _balanced("reasons", plus=("judged",), minus=("quarantined",)).alias("same_reasons"),
        _balanced("version", plus=("good",), minus=("history",)).alias("same_newest"),
    )
    difference = F.col("input") - F.col("good") - F.col("quarantined") - F.col("duplicates")
    return counts.select(
        "entity",
        *COUNTED.values(),
        difference.alias("difference"),
        "same_lines",
        "misjudged",
        "without_reason",
        "same_reasons",
        "same_newest",
    )


COUNTED = {"arrived": "input", "good": "good", "quarantined": "quarantined", "duplicates": "duplicates"}


def _parts(tables: EntityTables) -> list[DataFrame]:
    """Every table's rows in one shape: `entity`, `place`, `line`, `reasons`, `misjudged`, `version`."""
    stored = F.xxhash64("source_file", "line_hash")
    reasons = F.when(F.size(BROKEN_RULES) > 0, F.xxhash64("source_file", "line_hash", BROKEN_RULES))
    nothing = F.lit(None).cast("bigint")
    now = F.col(JUDGED_BY).eqNullSafe(F.lit(fingerprint(tables.drop)))
    misjudged = now & ~F.col(BROKEN_RULES).eqNullSafe(_broken(tables.drop))

    def part(
        rows: DataFrame, place: str, line: Column, why: Column, wrong: Column, version: Column = nothing
    ) -> DataFrame:
        return rows.select(
            F.lit(tables.entity).alias("entity"),
            F.lit(place).alias("place"),
            line.alias("line"),
            why.alias("reasons"),
            wrong.alias("misjudged"),
            version.alias("version"),
        )

    no = F.lit(False)
    good, held = nothing, []
    if tables.history is not None:
        shared = sorted(set(tables.history.columns) & set(tables.good.columns))
        good = _content(shared)
        current = tables.history.where("__END_AT IS NULL")
        held = [part(current, "history", nothing, nothing, no, _content(shared))]
    return [
        *held,
        # So that an entity of which nothing has arrived has a row too.
        part(tables.arrived.sparkSession.range(1), "none", nothing, nothing, no),
        part(tables.arrived, "arrived", F.xxhash64(F.col("source_file"), line_hash()), nothing, no),
        part(tables.judged, "judged", nothing, reasons, misjudged),
        part(tables.good, "good", stored, nothing, no, good),
        part(tables.quarantined, "quarantined", stored, reasons, no),
        part(tables.duplicates, "duplicates", stored, nothing, no),
    ]


def _broken(rules: Mapping[str, str]) -> Column:
    """The broken rules again, computed in another way than where they are recorded, to check that."""
    broken = [
        f"IF(CAST(({constraint}) AS BOOLEAN) IS NOT TRUE, '{name}', NULL)"
        for name, constraint in rules.items()
    ]
    return F.expr(f"array_compact(CAST(array({', '.join(broken)}) AS ARRAY<STRING>))")


def _content(columns: Sequence[str]) -> Column:
    """64 bits of a row's values; a hash skips NULL, so the flags keep (NULL, 1) apart from (1, NULL)."""
    return F.xxhash64(*[part for name in columns for part in (F.col(name), F.col(name).isNull())])


def _count(place: str) -> Column:
    return F.count_if(F.col("place") == place)


def _balanced(column: str, plus: tuple[str, ...], minus: tuple[str, ...]) -> Column:
    """Whether the hashes in `column` of some places equal those of others; summed by halves, to fit."""
    place, value = F.col("place"), F.col(column)
    sums = []
    for half in (F.shiftright(value, 32), value.bitwiseAND(F.lit(0xFFFFFFFF))):
        signed = F.when(place.isin(*plus), half).when(place.isin(*minus), -half).otherwise(F.lit(0))
        sums.append(F.coalesce(F.sum(F.coalesce(signed, F.lit(0))), F.lit(0)) == 0)
    return sums[0] & sums[1]
