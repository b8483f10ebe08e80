"""Rules of the datasets that check the others: one row per rule, one row per entity."""

from __future__ import annotations

from ecommerce_lakehouse.quality.owners import PLATFORM
from ecommerce_lakehouse.quality.rule import RuleSet
from ecommerce_lakehouse.quality.rule_builders import rule, warn


def check_rules() -> RuleSet:
    """Of `quality_checks_<pipeline>`."""
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
    """Of `quality_reconciliation_<pipeline>`."""
    return RuleSet(
        rules=(
            rule(
                "every_line_counted",
                "difference = 0",
                "fail",
                "What arrived is good, quarantined or a duplicate",
                {"difference": "1"},
                {"difference": "-1"},
            ),
            rule(
                "every_line_in_one_place",
                "same_lines",
                "fail",
                "The lines of the three places are those that arrived, each once",
                {"same_lines": "false"},
            ),
            rule(
                "judged_by_the_rules",
                "misjudged = 0",
                "fail",
                "The reasons noted at a line are the rules that it breaks",
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
                "Quarantine names every reason that was noted, at the line that it was noted at",
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
