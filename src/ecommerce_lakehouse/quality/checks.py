"""Evaluates rules of whole datasets in one query; expectations, which cannot aggregate, check its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.quality.rule import (
    AnyRule,
    DatasetRule,
    Freshness,
    References,
    RowCount,
    Rule,
    RuleSet,
    Unique,
)

Read = Callable[[str], DataFrame]


def quality_checks(rules: Mapping[str, RuleSet], read: Read) -> DataFrame:
    """One row per rule of a whole dataset, and per warning with a tolerance.

    `rules` are by dataset; `read` returns a dataset's table by its name. Out: `dataset`, `rule`, `kind`
    (row, unique, references, freshness, row_count), `requirement`, `severity`, `owner` STRING; `rows`
    BIGINT; `violations` BIGINT: rows that break it, for freshness and row_count 0 or 1; `allowed` BIGINT:
    the violations that do not fail the update, NULL for any number; `lag_seconds` BIGINT: for freshness, from
    the newest event to what it is compared with, NULL without rows; `verdict` STRING: passed, warned, failed.
    """
    parts = [part for dataset, each in rules.items() for part in _answers(dataset, each, read)]
    keys = [(dataset, rule) for dataset, each in rules.items() for rule in each.checks if _is_key(rule)]
    parts += [_repeated(keys, read)] if keys else []
    failed = F.col("allowed").isNotNull() & (F.col("violations") > F.col("allowed"))
    verdict = F.when(F.col("violations") == 0, "passed").when(failed, "failed").otherwise("warned")
    return reduce(DataFrame.union, parts).withColumn("verdict", verdict)


def has_checks(rules: RuleSet) -> bool:
    """Whether `quality_checks` has a row for a dataset with these rules."""
    return bool(rules.checks or rules.tolerated)


def _answers(dataset: str, rules: RuleSet, read: Read) -> list[DataFrame]:
    if not has_checks(rules):
        return []
    table = read(dataset)
    measures: list[tuple[AnyRule, Column, Column]] = [
        (rule, F.count_if(F.expr(f"CAST(({rule.constraint}) AS BOOLEAN) IS NOT TRUE")), _no_number())
        for rule in rules.tolerated
    ]
    answers: list[DataFrame] = []
    for rule in rules.checks:
        match rule.check:
            case References() as reference:
                answers.append(_answer(dataset, rule, _unknown(table, reference, read)))
            case Freshness(column, seconds, of):
                newest = "ingested_at"
                if of is not None:
                    newest = f"_newest_{len(measures)}"
                    other = read(of[0]).agg(F.max(of[1]).alias(newest))
                    table = table.crossJoin(F.broadcast(other))
                lag = _seconds(F.max(newest)) - _seconds(F.max(column))
                late = F.coalesce(lag > seconds, F.lit(False)).cast("bigint")
                measures.append((rule, late, lag))
            case RowCount(at_least, at_most):
                few = F.count("*") < at_least
                wrong = few if at_most is None else few | (F.count("*") > at_most)
                measures.append((rule, wrong.cast("bigint"), _no_number()))
    return answers + ([_in_one_pass(dataset, table, measures)] if measures else [])


def _in_one_pass(dataset: str, table: DataFrame, measures: list[tuple[AnyRule, Column, Column]]) -> DataFrame:
    """The answers of one aggregation over the table."""
    aggregates = [F.count("*").alias("rows")]
    for number, (_, violations, lag) in enumerate(measures):
        aggregates += [violations.alias(f"violations_{number}"), lag.alias(f"lag_{number}")]
    rows = [
        F.struct(*_columns(dataset, rule, F.col(f"violations_{number}"), F.col(f"lag_{number}")))
        for number, (rule, _, _) in enumerate(measures)
    ]
    return table.agg(*aggregates).select(F.inline(F.array(*rows)))


def _answer(dataset: str, rule: AnyRule, found: DataFrame) -> DataFrame:
    return found.select(*_columns(dataset, rule, F.col("violations"), _no_number()))


def _columns(dataset: str, rule: AnyRule, violations: Column, lag: Column) -> list[Column]:
    kind, requirement = describe(rule)
    texts = {
        "dataset": dataset,
        "rule": rule.name,
        "kind": kind,
        "requirement": requirement,
        "severity": rule.severity,
        "owner": rule.owner,
    }
    numbers = {
        "rows": F.col("rows"),
        "violations": F.coalesce(violations, F.lit(0)),
        "allowed": _allowed(rule),
        "lag_seconds": lag,
    }
    return [
        *[F.lit(value).alias(name) for name, value in texts.items()],
        *[value.cast("bigint").alias(name) for name, value in numbers.items()],
    ]


def describe(rule: AnyRule) -> tuple[str, str]:
    """The kind of a rule (row, unique, references, freshness, row_count), and its requirement in one line."""
    if isinstance(rule, Rule):
        return "row", rule.constraint
    kinds = {Unique: "unique", References: "references", Freshness: "freshness", RowCount: "row_count"}
    return kinds[type(rule.check)], str(rule.check)


def _allowed(rule: AnyRule) -> Column:
    if rule.severity == "fail":
        return F.lit(0)
    if rule.tolerance is None:
        return _no_number()
    if rule.tolerance.rows is not None:
        return F.lit(rule.tolerance.rows)
    return F.floor(F.lit(rule.tolerance.share) * F.col("rows"))


def _is_key(rule: AnyRule) -> bool:
    return isinstance(rule, DatasetRule) and isinstance(rule.check, Unique)


def _repeated(keys: list[tuple[str, DatasetRule]], read: Read) -> DataFrame:
    """The answers about keys, all in one aggregation: rows beyond the first of a key. NULL is a value.

    A key is represented by 96 bits of hash, which are enough for a million million keys.
    """
    parts: list[DataFrame] = []
    answers: list[Column] = []
    for number, (dataset, rule) in enumerate(keys):
        assert isinstance(rule.check, Unique)
        table = read(dataset)
        # A hash skips NULL: without the flags (NULL, 1) and (1, NULL) would be equal.
        values = [part for name in rule.check.columns for part in (F.col(name), F.col(name).isNull())]
        hashes = F.struct(F.xxhash64(*values).alias("long"), F.hash(*values).alias("short"))
        parts.append(table.select(F.lit(number).alias("number"), hashes.alias("key"), F.lit(1).alias("n")))
        answers.append(F.struct(*_columns(dataset, rule, F.col("violations"), _no_number())))
    # So that an empty table has an answer too.
    key_type = "struct<long: bigint, short: int>"
    none = F.lit(None).cast(key_type).alias("key")
    numbers = parts[0].sparkSession.range(len(keys)).select(F.col("id").cast("int").alias("number"), none)
    parts.append(numbers.withColumn("n", F.lit(0)))
    found = reduce(DataFrame.union, parts).groupBy("number", "key").agg(F.sum("n").alias("n"))
    counted = found.groupBy("number").agg(
        F.sum("n").alias("rows"), F.sum(F.greatest(F.col("n") - 1, F.lit(0))).alias("violations")
    )
    return counted.select(F.array(*answers)[F.col("number")].alias("answer")).select("answer.*")


def _unknown(table: DataFrame, reference: References, read: Read) -> DataFrame:
    """`rows`, and `violations`: those whose value the other table lacks. NULL refers to nothing."""
    value = F.col(reference.column)
    known = read(reference.dataset).select(F.col(reference.to_column).alias("known")).distinct()
    joined = table.select(value).join(known, value == F.col("known"), "left")
    return joined.agg(
        F.count("*").alias("rows"),
        F.count_if(value.isNotNull() & F.col("known").isNull()).alias("violations"),
    )


def _seconds(moment: Column) -> Column:
    return F.unix_seconds(moment.cast("timestamp"))


def _no_number() -> Column:
    return F.lit(None).cast("bigint")
