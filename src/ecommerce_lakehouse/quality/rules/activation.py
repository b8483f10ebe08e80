"""Rules of the pipeline in `src/pipelines/activation`: `rules`."""

from __future__ import annotations

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import (
    CONSENT_CHANNELS,
    CONSENT_STATUSES,
    HOUSEHOLD_KINDS,
    HOUSEHOLD_MEMBERS,
    HOUSEHOLD_ROLES,
    HOUSEHOLDS,
    MARKETING_CONSENTS,
    PLATFORMS,
    PUSH_DEVICES,
)
from ecommerce_lakehouse.quality.entity_rules import entity_rules
from ecommerce_lakehouse.quality.owners import CRM, MARKETING, WEB
from ecommerce_lakehouse.quality.rule import DatasetRule, References, Rule, RuleSet, Unique
from ecommerce_lakehouse.quality.rule_builders import (
    dated,
    known,
    named,
    not_future,
    one_of,
    one_row_per,
    present,
    warn,
)
from ecommerce_lakehouse.transforms.order_events import ORDER_EVENTS


def rules(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules by dataset."""
    return (
        _consents(config)
        | _devices(config)
        | _households(config)
        | _members(config)
        | _order_events()
        | _gold()
    )


def _consents(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of consents, from bronze to silver.

    No status sends a line to quarantine: a newer record that says nothing readable must end an older grant.
    """
    words = ", ".join(repr(status) for status in CONSENT_STATUSES)
    return entity_rules(
        MARKETING_CONSENTS,
        owner=MARKETING,
        rules=(
            present("valid_consent_id", "consent_id", "A consent is known by its id"),
            present("valid_customer_id", "customer_id", "A consent is a customer's"),
            one_of("valid_channel", "channel", CONSENT_CHANNELS, "A channel on which the shop writes"),
            *_updated(config),
            warn(
                "known_consent_status",
                f"status IS NULL OR status IN ({words})",
                "A word that nobody knows grants nothing",
                {"status": "'perhaps'"},
            ),
        ),
        checks=(_IS_CUSTOMER,),
        example={
            "consent_id": "'C-1-email'",
            "customer_id": "'C-1'",
            "channel": "'email'",
            "status": "'granted'",
            "updated_at": "TIMESTAMP '2024-04-30 08:15:00'",
        },
    )


def _devices(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of devices that take push messages, from bronze to silver."""
    return entity_rules(
        PUSH_DEVICES,
        owner=WEB,
        rules=(
            present("valid_token", "token", "A device is reached by its token"),
            present("valid_customer_id", "customer_id", "A device is a customer's"),
            one_of("valid_platform", "platform", PLATFORMS, "Push messages go through one of two services"),
            dated("valid_last_used_at", "last_used_at", config, "Who no longer uses the app gets no message"),
            *_updated(config),
        ),
        checks=(_IS_CUSTOMER,),
        example={
            "token": "'0a1b'",
            "customer_id": "'C-1'",
            "platform": "'ios'",
            "last_used_at": "TIMESTAMP '2024-04-30 08:00:00'",
            "updated_at": "TIMESTAMP '2024-04-30 08:15:00'",
        },
    )


def _households(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of households, from bronze to silver."""
    return entity_rules(
        HOUSEHOLDS,
        owner=CRM,
        rules=(
            present("valid_household_id", "household_id", "A household is known by its id"),
            present("valid_name", "name", "An object is shown by its name"),
            one_of("valid_kind", "kind", HOUSEHOLD_KINDS, "The shop's vocabulary"),
            *_updated(config),
        ),
        checks=(),
        example={
            "household_id": "'H-1'",
            "name": "'Rowan household'",
            "kind": "'family'",
            "updated_at": "TIMESTAMP '2024-04-30 08:15:00'",
        },
    )


def _members(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of household members, from bronze to silver; without a household the member has left it."""
    return entity_rules(
        HOUSEHOLD_MEMBERS,
        owner=CRM,
        rules=(
            present("valid_customer_id", "customer_id", "A member is a customer"),
            one_of("valid_role", "role", HOUSEHOLD_ROLES, "The shop's vocabulary"),
            *_updated(config),
        ),
        checks=(
            _IS_CUSTOMER,
            DatasetRule(
                "household_known",
                References("household_id", "silver_households", "household_id"),
                "warn",
                "A household may arrive after its members",
            ),
        ),
        example={
            "customer_id": "'C-1'",
            "role": "'owner'",
            "updated_at": "TIMESTAMP '2024-04-30 08:15:00'",
        },
    )


def _order_events() -> dict[str, RuleSet]:
    """Rules of the events of orders."""
    return {
        "gold_order_events": RuleSet(
            rules=(
                known("valid_order_event_id", "order_event_id", "An event is sent once, by its key"),
                known("valid_customer_id", "customer_id", "An event is of a customer"),
                _timed("valid_occurred_at", "occurred_at", "An event is sent with its time"),
                named("valid_event", "event", *ORDER_EVENTS),
                warn(
                    "total_of_its_items",
                    "total = price * quantity AND total > 0",
                    "Price times quantity",
                    {"total": "9.99"},
                ),
            ),
            checks=(one_row_per("order_event_id"),),
            example={
                "order_event_id": "'O-1:completed'",
                "customer_id": "'C-1'",
                "occurred_at": "TIMESTAMP '2024-04-30 08:15:00'",
                "event": "'Order Completed'",
                "price": "5.00",
                "quantity": "2",
                "total": "10.00",
            },
            owner=MARKETING,
        )
    }


def _gold() -> dict[str, RuleSet]:
    """Rules of consents that are granted, and of households."""
    return {
        "gold_marketing_consents": RuleSet(
            rules=(
                known("valid_customer_id", "customer_id", "A consent is a customer's"),
                named("valid_channel", "channel", *CONSENT_CHANNELS),
                _timed("valid_granted_at", "granted_at", "A grant can be shown to have been given"),
            ),
            checks=(
                DatasetRule(
                    "one_row_per_key",
                    Unique(("customer_id", "channel")),
                    "fail",
                    "The newest record decides alone",
                ),
            ),
            example={
                "customer_id": "'C-1'",
                "channel": "'email'",
                "granted_at": "TIMESTAMP '2024-04-30 08:15:00'",
            },
            owner=MARKETING,
        ),
        "gold_household_members": RuleSet(
            rules=(
                known("valid_customer_id", "customer_id", "A member is a customer"),
                known("valid_household_id", "household_id", "A member is in a household"),
                named("valid_role", "role", *HOUSEHOLD_ROLES),
            ),
            checks=(one_row_per("customer_id"),),
            example={"customer_id": "'C-1'", "household_id": "'H-1'", "role": "'owner'"},
            owner=CRM,
        ),
    }


def _timed(name: str, column: str, reason: str) -> Rule:
    return warn(name, f"{column} IS NOT NULL", reason, {column: "CAST(NULL AS TIMESTAMP)"})


def _updated(config: LakehouseConfig) -> tuple[Rule, Rule]:
    return (
        dated("valid_updated_at", "updated_at", config, "Of several records the newest wins by it"),
        not_future("update_not_in_future", "updated_at", config),
    )


_IS_CUSTOMER = DatasetRule(
    "customer_known",
    References("customer_id", "silver_customers", "customer_id"),
    "warn",
    "A profile may arrive after what else is known of a customer",
)
