"""What activation adds to the small shop of `expected_rows.py`: raw lines and expected rows."""

from __future__ import annotations

from typing import Any

Line = dict[str, Any]


def consent(customer: str, channel: str, status: str | None, updated_at: str) -> Line:
    return {
        "consent_id": f"{customer}-{channel}", "customer_id": customer, "channel": channel, "status": status,
        "source": "website", "updated_at": updated_at,
    }  # fmt: skip


def device(token: str, customer: str, platform: str, version: str, updated_at: str) -> Line:
    return {
        "token": token, "customer_id": customer, "platform": platform, "app_version": version,
        "last_used_at": updated_at, "updated_at": updated_at,
    }  # fmt: skip


def household(number: int, name: str, kind: str, country: str, updated_at: str) -> Line:
    return {
        "household_id": f"h{number}", "name": f"{name} household", "kind": kind, "country": country,
        "updated_at": updated_at,
    }  # fmt: skip


def member(customer: str, household_id: str | None, role: str, updated_at: str) -> Line:
    return {"customer_id": customer, "household_id": household_id, "role": role, "updated_at": updated_at}


# By folder: the lines that arrive before the first update, and before the second.
MORE_ARRIVALS: dict[str, tuple[list[Line | str], list[Line | str]]] = {
    "marketing_consents_raw": (
        [
            consent("c1", "email", "granted", "2024-01-02T00:00:00Z"),
            consent("c1", "push", "unknown", "2024-01-02T00:00:00Z"),
            consent("c2", "email", "granted", "2024-01-03T00:00:00Z"),
            consent("c2", "sms", "granted", "2024-01-03T00:00:00Z"),
            consent("c3", "sms", None, "2024-01-05T00:00:00Z"),
            consent("c3", "fax", "granted", "2024-01-05T00:00:00Z"),
        ],
        [
            consent("c1", "email", "withdrawn", "2024-01-01T00:00:00Z"),  # older than what arrived before it
            consent("c2", "email", "withdrawn", "2024-01-04T00:00:00Z"),
            # A word that nobody knows is newer, and grants nothing.
            consent("c2", "sms", "perhaps", "2024-01-04T00:00:00Z"),
            # Made at the same time: the one that refuses is newer.
            consent("c3", "push", "withdrawn", "2024-01-05T00:00:00Z"),
            consent("c3", "push", "granted", "2024-01-05T00:00:00Z"),
        ],
    ),
    "push_devices_raw": (
        [
            device("d1", "c1", "ios", "4.1.0", "2024-01-02T08:00:00Z"),
            device("d2", "c2", "pager", "4.1.0", "2024-01-02T08:00:00Z"),
        ],
        [device("d1", "c1", "ios", "4.2.0", "2024-01-09T08:00:00Z")],
    ),
    "households_raw": (
        [household(1, "Rowan", "family", "DE", "2024-01-02T00:00:00Z")],
        [
            household(1, "Rowan", "family", "FR", "2024-01-10T00:00:00Z"),
            household(2, "Hazel", "castle", "FR", "2024-01-05T00:00:00Z"),
        ],
    ),
    "household_members_raw": (
        [
            member("c1", "h1", "owner", "2024-01-02T00:00:00Z"),
            member("c2", "h1", "adult", "2024-01-02T00:00:00Z"),
            member("c3", "h2", "owner", "2024-01-05T00:00:00Z"),  # of a household in quarantine
        ],
        [member("c2", None, "adult", "2024-01-08T00:00:00Z")],  # has left
    ),
}  # fmt: skip

# By table: the columns that are compared with these rows.
MORE_EXPECTED: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "bronze_marketing_consents": ("environment", [("local",)] * 11),
    "bronze_push_devices": ("environment", [("local",)] * 3),
    "bronze_households": ("environment", [("local",)] * 3),
    "bronze_household_members": ("environment", [("local",)] * 4),
    "silver_marketing_consents_parsed": (
        "consent_id, status, cardinality(broken_rules)",
        [
            ("c1-email", "granted", 0), ("c1-push", "unknown", 0), ("c2-email", "granted", 0),
            ("c2-sms", "granted", 0), ("c3-sms", None, 0), ("c3-fax", "granted", 1),
            ("c1-email", "withdrawn", 0), ("c2-email", "withdrawn", 0), ("c2-sms", "perhaps", 0),
            ("c3-push", "withdrawn", 0), ("c3-push", "granted", 0),
        ],
    ),
    "silver_marketing_consents": (
        "consent_id, status, is_refusal, updated_at",
        [
            ("c1-email", "granted", False, "01-02 00:00"), ("c1-push", "unknown", True, "01-02 00:00"),
            ("c2-email", "withdrawn", True, "01-04 00:00"), ("c2-sms", "perhaps", True, "01-04 00:00"),
            ("c3-sms", None, True, "01-05 00:00"), ("c3-push", "withdrawn", True, "01-05 00:00"),
        ],
    ),
    "silver_marketing_consents_duplicates": (
        "consent_id, status",
        [("c1-email", "withdrawn"), ("c2-email", "granted"), ("c2-sms", "granted"), ("c3-push", "granted")],
    ),
    "quarantine_marketing_consents": ("array_to_string(broken_rules, ' ')", [("valid_channel",)]),
    "silver_push_devices_parsed": (
        "token, cardinality(broken_rules)", [("d1", 0), ("d1", 0), ("d2", 1)],
    ),
    "silver_push_devices": ("token, customer_id, app_version", [("d1", "c1", "4.2.0")]),
    "silver_push_devices_duplicates": ("token, app_version", [("d1", "4.1.0")]),
    "quarantine_push_devices": ("array_to_string(broken_rules, ' ')", [("valid_platform",)]),
    "silver_households_parsed": (
        "household_id, cardinality(broken_rules)", [("h1", 0), ("h1", 0), ("h2", 1)],
    ),
    "silver_households": ("household_id, name, country", [("h1", "Rowan household", "FR")]),
    "silver_households_duplicates": ("household_id, country", [("h1", "DE")]),
    "quarantine_households": ("array_to_string(broken_rules, ' ')", [("valid_kind",)]),
    "silver_household_members_parsed": (
        "customer_id, household_id, cardinality(broken_rules)",
        [("c1", "h1", 0), ("c2", "h1", 0), ("c3", "h2", 0), ("c2", None, 0)],
    ),
    "silver_household_members": (
        "customer_id, household_id, role",
        [("c1", "h1", "owner"), ("c2", None, "adult"), ("c3", "h2", "owner")],
    ),
    "silver_household_members_duplicates": ("customer_id, household_id", [("c2", "h1")]),
    "quarantine_household_members": ("raw_text", []),
    "gold_marketing_consents": ("customer_id, channel, granted_at", [("c1", "email", "01-02 00:00")]),
    # Two newer records of O3 say nothing that is sent; a valid record of O9 never arrived.
    "gold_order_events": (
        "order_event_id, order_id, customer_id, event, occurred_at, product_id, product_name, category, "
        "price, quantity, total",
        [
            ("O1:completed", "O1", "c1", "Order Completed", "01-03 09:00", "P1", "Atlas", "books", "10.00", 2,
             "20.00"),
            ("O1:cancelled:1", "O1", "c1", "Order Cancelled", "01-10 09:00", "P1", "Atlas", "books", "10.00",
             2, "20.00"),
            ("O2:completed", "O2", "c2", "Order Completed", "01-04 10:00", "P2", "Kite", "toys", "5.00", 1,
             "5.00"),
            ("O3:completed", "O3", "c1", "Order Completed", "01-06 20:00", "P2", "Kite", "toys", "5.00", 3,
             "15.00"),
            ("O4:completed", "O4", "c3", "Order Completed", "01-15 00:00", "P1", "Atlas", "books", "10.00", 1,
             "10.00"),
        ],
    ),
    "gold_household_members": (
        "household_id, customer_id, household_name, role, country",
        [("h1", "c1", "Rowan household", "owner", "FR")],
    ),
    "quality_reconciliation_activation": (
        "entity, input, good, quarantined, duplicates, difference, same_lines, same_reasons, same_newest",
        [
            ("marketing_consents", 11, 6, 1, 4, 0, True, True, True),
            ("push_devices", 3, 1, 1, 1, 0, True, True, True),
            ("households", 3, 1, 1, 1, 0, True, True, True),
            ("household_members", 4, 3, 0, 1, 0, True, True, True),
        ],
    ),
}  # fmt: skip
