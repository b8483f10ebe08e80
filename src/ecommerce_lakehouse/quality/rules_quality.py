"""Rules of the datasets that check the other datasets."""

from __future__ import annotations

from ecommerce_lakehouse.quality.owners import PLATFORM
from ecommerce_lakehouse.quality.rule import RuleSet
from ecommerce_lakehouse.quality.rule_builders import rule, warn


def check_rules() -> RuleSet:
    """The rules of `quality_checks_<pipeline>`, which has one row per rule."""
    return RuleSet(
        rules=(
            rule(
                "no_failed_check",
                "verdict <> 'failed'",
                "fail",
                "A dataset breaks a rule that stops the update, or one beyond its tolerance",
                {"verdict": "'failed'"},
                {"verdict": "CAST(NULL AS STRING)"},
            ),
            warn(
                "no_warned_check",
                "verdict <> 'warned'",
                "A dataset breaks a rule within its tolerance",
                {"verdict": "'warned'"},
            ),
        ),
        example={"verdict": "'passed'"},
        owner=PLATFORM,
    )


def reconciliation_rules() -> RuleSet:
    """The rules of `quality_reconciliation_<pipeline>`, which has one row per entity."""
    return RuleSet(
        rules=(
            rule(
                "every_line_counted",
                "difference = 0",
                "fail",
                "Every line that arrived is good, quarantined or a duplicate",
                {"difference": "1"},
                {"difference": "-1"},
            ),
            rule(
                "every_line_in_one_place",
                "same_lines",
                "fail",
                "The three places hold the lines that arrived, each once",
                {"same_lines": "false"},
            ),
            rule(
                "judged_by_the_rules",
                "misjudged = 0",
                "fail",
                "The reasons recorded for a line are the rules that it breaks",
                {"misjudged": "1"},
            ),
            rule(
                "every_quarantined_line_has_a_reason",
                "without_reason = 0",
                "fail",
                "A line in quarantine breaks a rule",
                {"without_reason": "1"},
            ),
            rule(
                "no_reason_lost",
                "same_reasons",
                "fail",
                "Quarantine has every recorded reason, with the line that it was recorded for",
                {"same_reasons": "false"},
            ),
            rule(
                "one_newest_record",
                "same_newest",
                "fail",
                "The version that holds now is the record that silver keeps",
                {"same_newest": "false"},
            ),
        ),
        example={
            "difference": "0",
            "same_lines": "true",
            "misjudged": "0",
            "without_reason": "0",
            "same_reasons": "true",
            "same_newest": "true",
        },
        owner=PLATFORM,
    )
