"""The entities that arrive as JSON lines: their fields, keys and vocabularies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal["string", "int", "decimal(10,2)", "timestamp", "date"]

# In the order of an order's life.
ORDER_STATUSES = ("pending", "processing", "shipped", "delivered", "cancelled", "returned")
NON_REVENUE_STATUSES = ("cancelled", "returned")
DEVICE_TYPES = ("mobile", "desktop", "tablet")
GENDERS = ("female", "male", "other")
LOYALTY_TIERS = ("bronze", "silver", "gold", "platinum")
CATEGORIES = ("electronics", "clothing", "home", "books", "sports", "beauty", "toys", "groceries")
CONSENT_CHANNELS = ("email", "push", "sms")
GRANTED = "granted"
CONSENT_STATUSES = (GRANTED, "withdrawn", "unknown")
PLATFORMS = ("ios", "android")
HOUSEHOLD_KINDS = ("couple", "family", "shared")
HOUSEHOLD_ROLES = ("owner", "adult", "child")


@dataclass(frozen=True)
class SourceField:
    """One field of the JSON. `lower` marks a vocabulary that is compared in lower case."""

    name: str
    type: FieldType = "string"
    lower: bool = False


@dataclass(frozen=True)
class Entity:
    """What one folder of the volume holds.

    `key` identifies a record; of several records with one key the greatest by `sequence_by` stays: columns,
    of which the first says when the record was made. Content decides between records that are equal in it.
    `target` is the silver table's entity name; `folder` is where its files arrive, within the volume.
    `derived` are columns that are computed from the fields: name and SQL expression. With `history`, every
    version of a record is kept as well. `settled` are columns that an update hardly ever changes: beside its
    own a superseded record has those of the newest one, as `newest_<column>`.
    """

    name: str
    target: str
    fields: tuple[SourceField, ...]
    key: str
    sequence_by: tuple[str, ...]
    landing: str | None = None
    derived: tuple[tuple[str, str], ...] = ()
    history: bool = False
    settled: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The folder of the volume in which its files arrive."""
        return self.landing or f"{self.name}_raw"

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the expected JSON fields, in order."""
        return tuple(field.name for field in self.fields)


# The newest record of an order is the one that was made last; of those made at one time, the one whose status
# comes last in an order's life. A record without `updated_at` was made when the order was placed.
_ORDER_SEQUENCE = ("recorded_at", "status_step")
_ORDER_DERIVED = (
    ("recorded_at", "coalesce(updated_at, order_timestamp)"),
    ("status_step", f"array_position(array({', '.join(map(repr, ORDER_STATUSES))}), status)"),
)

ORDERS = Entity(
    name="orders",
    target="orders",
    fields=(
        SourceField("order_id"),
        SourceField("customer_id"),
        SourceField("product_id"),
        SourceField("product_name"),
        SourceField("category", lower=True),
        SourceField("price", "decimal(10,2)"),
        SourceField("quantity", "int"),
        SourceField("status", lower=True),
        SourceField("order_timestamp", "timestamp"),
        SourceField("updated_at", "timestamp"),
    ),
    key="order_id",
    sequence_by=_ORDER_SEQUENCE,
    derived=(
        *_ORDER_DERIVED,
        ("total_order_value", "CAST(price * quantity AS DECIMAL(18,2))"),
        ("order_date", "to_date(order_timestamp)"),
    ),
    settled=("order_date",),
)

CUSTOMER_PROFILES = Entity(
    name="customer_profiles",
    target="customers",
    fields=(
        SourceField("customer_id"),
        SourceField("email", lower=True),
        SourceField("age", "int"),
        SourceField("gender", lower=True),
        SourceField("country"),
        SourceField("signup_date", "date"),
        SourceField("loyalty_tier", lower=True),
        SourceField("loyalty_points", "int"),
        SourceField("updated_at", "timestamp"),
    ),
    key="customer_id",
    sequence_by=("updated_at",),
    history=True,
)

CUSTOMER_ACTIVITY = Entity(
    name="customer_activity",
    target="customer_activity",
    fields=(
        SourceField("session_id"),
        SourceField("customer_id"),
        SourceField("session_timestamp", "timestamp"),
        SourceField("session_duration_seconds", "int"),
        SourceField("page_views", "int"),
        SourceField("cart_adds", "int"),
        SourceField("device_type", lower=True),
    ),
    key="session_id",
    sequence_by=("session_timestamp",),
)

# Orders of another source, which delivers a file at a time; a table belongs to one pipeline, so these have
# tables of their own.
ORDER_BATCHES = Entity(
    name="order_batches",
    target="order_batches",
    fields=(
        SourceField("order_id"),
        SourceField("order_item"),
        SourceField("price", "decimal(10,2)"),
        SourceField("items_ordered", "int"),
        SourceField("status", lower=True),
        SourceField("date_ordered", "date"),
        SourceField("customer_id"),
        SourceField("order_timestamp", "timestamp"),
        SourceField("updated_at", "timestamp"),
    ),
    key="order_id",
    sequence_by=_ORDER_SEQUENCE,
    landing="orders/landing",
    derived=(*_ORDER_DERIVED, ("order_value", "CAST(price * items_ordered AS DECIMAL(18,2))")),
    settled=("date_ordered",),
)

# What a customer said about one channel; `consent_id` is one per customer and channel. Only the word in
# GRANTED allows anything, and of records made at one time one that grants loses.
MARKETING_CONSENTS = Entity(
    name="marketing_consents",
    target="marketing_consents",
    fields=(
        SourceField("consent_id"),
        SourceField("customer_id"),
        SourceField("channel", lower=True),
        SourceField("status", lower=True),
        SourceField("source"),
        SourceField("updated_at", "timestamp"),
    ),
    key="consent_id",
    sequence_by=("updated_at", "is_refusal"),
    derived=(("is_refusal", f"NOT (status <=> '{GRANTED}')"),),
)

PUSH_DEVICES = Entity(
    name="push_devices",
    target="push_devices",
    fields=(
        SourceField("token"),
        SourceField("customer_id"),
        SourceField("platform", lower=True),
        SourceField("app_version"),
        SourceField("last_used_at", "timestamp"),
        SourceField("updated_at", "timestamp"),
    ),
    key="token",
    sequence_by=("updated_at",),
)

HOUSEHOLDS = Entity(
    name="households",
    target="households",
    fields=(
        SourceField("household_id"),
        SourceField("name"),
        SourceField("kind", lower=True),
        SourceField("country"),
        SourceField("updated_at", "timestamp"),
    ),
    key="household_id",
    sequence_by=("updated_at",),
)

# A customer is in one household at a time; a record without `household_id` says that they have left it.
HOUSEHOLD_MEMBERS = Entity(
    name="household_members",
    target="household_members",
    fields=(
        SourceField("customer_id"),
        SourceField("household_id"),
        SourceField("role", lower=True),
        SourceField("updated_at", "timestamp"),
    ),
    key="customer_id",
    sequence_by=("updated_at",),
)

# Those that the sample data job generates, and those that the activation data job does.
SAMPLED = {entity.name: entity for entity in (ORDERS, CUSTOMER_PROFILES, CUSTOMER_ACTIVITY)}
ACTIVATED = {
    entity.name: entity for entity in (MARKETING_CONSENTS, PUSH_DEVICES, HOUSEHOLDS, HOUSEHOLD_MEMBERS)
}
ENTITIES = SAMPLED | {ORDER_BATCHES.name: ORDER_BATCHES} | ACTIVATED
