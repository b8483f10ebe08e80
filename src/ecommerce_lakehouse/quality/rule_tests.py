"""Tests the rules themselves: every rule gets rows that pass it, and rows that break it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.errors import first_line
from ecommerce_lakehouse.quality.checks import quality_checks
from ecommerce_lakehouse.quality.rule import (
    Check,
    DatasetRule,
    Example,
    Freshness,
    References,
    Rule,
    RuleSet,
    Unique,
)


@dataclass(frozen=True)
class RuleTestResult:
    """The result of a rule. `problem` is empty if it passed; `cases` is its number of test rows."""

    dataset: str
    rule: str
    location: str
    cases: int
    problem: str = ""


def run_rule_tests(spark: SparkSession, rules: Mapping[str, RuleSet]) -> list[RuleTestResult]:
    """Test every rule of the datasets on rows built to pass it and rows built to break it.

    A rule for a row passes if the dataset's example satisfies it and each of its `broken_by`, at least one,
    breaks it. A rule for a dataset is tested on small tables made for its kind.
    """
    row_rules = [(dataset, rule) for dataset, each in rules.items() for rule in each.rules]
    problems = _try_rows(spark, row_rules, rules)
    tested = [
        RuleTestResult(
            dataset, rule.name, rule.location, 1 + len(rule.broken_by), problems.get((dataset, rule.name), "")
        )
        for dataset, rule in row_rules
    ]
    checks = [(dataset, check) for dataset, each in rules.items() for check in each.checks]
    return tested + _try_checks(spark, checks)


# Rules for a row --------------------------------------------------------------------------------------------

Key = tuple[str, str]


@dataclass(frozen=True)
class _Trial:
    """Rules of one dataset, which share its example row, evaluated by one query without tables."""

    dataset: str
    example: Example
    rules: tuple[Rule, ...]

    def rows(self, spark: SparkSession) -> DataFrame:
        """`dataset`, `case` STRING (empty: the example; else a rule and a number), `holds` by rule."""
        cases = {"": self.example}
        for rule in self.rules:
            changed = [{**self.example, **case} for case in rule.broken_by]
            cases |= {f"{rule.name} {number}": row for number, row in enumerate(changed, 1)}
        values = ", ".join(
            f"('{case}', {', '.join(row[column] for column in self.example)})" for case, row in cases.items()
        )
        names = ", ".join(f"`{name}`" for name in ("__case", *self.example))
        holds = ", ".join(
            f"'{rule.name}', coalesce(CAST(({rule.constraint}) AS BOOLEAN), false)" for rule in self.rules
        )
        return spark.sql(
            f"SELECT '{self.dataset}' AS dataset, __case AS case, map({holds}) AS holds "
            f"FROM VALUES {values} AS t({names})"
        )

    def split(self) -> list[_Trial]:
        """One trial per rule."""
        return [replace(self, rules=(rule,)) for rule in self.rules]


def _try_rows(
    spark: SparkSession, row_rules: Sequence[tuple[str, Rule]], rules: Mapping[str, RuleSet]
) -> dict[Key, str]:
    """The problem of each rule that has one, by dataset and name."""
    problems: dict[Key, str] = {}
    testable: dict[str, list[Rule]] = {}
    for dataset, rule in row_rules:
        example = rules[dataset].example
        unknown = sorted({column for case in rule.broken_by for column in case} - set(example))
        if not rule.broken_by:
            problems[dataset, rule.name] = "no row breaks it: it has no 'broken_by'"
        elif unknown:
            problems[dataset, rule.name] = f"the dataset's example has no column '{unknown[0]}'"
        else:
            testable.setdefault(dataset, []).append(rule)
    trials = [_Trial(dataset, rules[dataset].example, tuple(each)) for dataset, each in testable.items()]
    return problems | _verdicts(spark, trials)


def _verdicts(spark: SparkSession, trials: list[_Trial]) -> dict[Key, str]:
    """One job for all trials; if one cannot be evaluated, they are halved until it is found."""
    if not trials:
        return {}
    try:
        rows = reduce(DataFrame.union, [trial.rows(spark) for trial in trials]).coalesce(1).collect()
    except Exception as error:
        if len(trials) == 1 and len(trials[0].rules) == 1:
            return {(trials[0].dataset, trials[0].rules[0].name): first_line(error, at_most=300)}
        half = len(trials) // 2
        parts = [trials[:half], trials[half:]] if half else [[each] for each in trials[0].split()]
        found: dict[Key, str] = {}
        for part in parts:
            found |= _verdicts(spark, part)
        return found
    problems: dict[Key, str] = {}
    for row in rows:
        rule, _, number = row.case.partition(" ")
        if rule and row.holds[rule]:
            problems[row.dataset, rule] = f"row {number} of its 'broken_by' does not break it"
    for row in rows:
        if not row.case:
            broken = {
                name: "the dataset's example breaks it" for name, holds in row.holds.items() if not holds
            }
            problems |= {(row.dataset, name): problem for name, problem in broken.items()}
    return problems


# Rules for a dataset ----------------------------------------------------------------------------------------

GOOD, BAD = "good", "bad"


def _try_checks(spark: SparkSession, checks: Sequence[tuple[str, DatasetRule]]) -> list[RuleTestResult]:
    """The tables are made for the check, so checks that differ only in column names share a result."""
    kinds = list(dict.fromkeys(_kind(rule.check) for _, rule in checks))
    frames = [_check_rows(spark, number, kind) for number, kind in enumerate(kinds)]
    answers = reduce(DataFrame.union, frames).coalesce(1).collect() if frames else []
    found = {row.dataset: row.violations for row in answers}
    return [
        RuleTestResult(dataset, rule.name, rule.location, 2, _problem(found, kinds.index(_kind(rule.check))))
        for dataset, rule in checks
    ]


def _kind(check: Check) -> Check:
    match check:
        case Unique(columns):
            return Unique(tuple(f"key_{number}" for number, _ in enumerate(columns)))
        case References():
            return References("value", "others", "key")
        case Freshness(_, seconds, of):
            return Freshness("happened_at", seconds, of and ("others", "newest"))
    return check


def _check_rows(spark: SparkSession, number: int, check: Check) -> DataFrame:
    rules = RuleSet(checks=(DatasetRule("check", check, "fail", "a trial"),))
    parts = []
    for name, (table, others) in _tables(spark, check).items():
        tables = {f"{number} {name}": table, "others": others}
        parts.append(quality_checks({f"{number} {name}": rules}, tables.__getitem__))
    return reduce(DataFrame.union, parts)


def _problem(found: Mapping[str, int], number: int) -> str:
    if found[f"{number} {GOOD}"] != 0:
        return "rows built to pass break it"
    return "" if found[f"{number} {BAD}"] > 0 else "no row breaks it"


def _tables(spark: SparkSession, check: Check) -> dict[str, tuple[DataFrame, DataFrame]]:
    """For a check: its table and the table that it refers to, once to pass and once to break it."""
    none = spark.range(0)
    match check:
        case Unique(columns):
            names = ", ".join(f"'{{0}}' AS `{column}`" for column in columns)
            row = f"SELECT {names}"
            once = spark.sql(f"{row.format(1)} UNION ALL {row.format(2)}")
            twice = spark.sql(f"{row.format(1)} UNION ALL {row.format(1)}")
            return {GOOD: (once, none), BAD: (twice, none)}
        case References(column, _, to_column):
            table = spark.sql(f"SELECT 'a' AS `{column}` UNION ALL SELECT NULL")
            there, not_there = (spark.sql(f"SELECT '{value}' AS `{to_column}`") for value in "ab")
            return {GOOD: (table, there), BAD: (table, not_there)}
        case Freshness(column, seconds):
            rows = {GOOD: seconds, BAD: seconds + 1}
            return {
                name: (
                    spark.sql(
                        f"SELECT timestamp_seconds(0) AS `{column}`, timestamp_seconds({lag}) AS ingested_at"
                    ),
                    spark.sql(f"SELECT timestamp_seconds({lag}) AS newest"),
                )
                for name, lag in rows.items()
            }
    if check.at_least:
        return {GOOD: (spark.range(check.at_least), none), BAD: (spark.range(check.at_least - 1), none)}
    assert check.at_most is not None
    return {GOOD: (spark.range(check.at_most), none), BAD: (spark.range(check.at_most + 1), none)}
