"""The one declaration of personal columns: what identifies a person, and whose rows an erasure removes."""

from __future__ import annotations

from typing import Literal

from ecommerce_lakehouse.domain.entities import ENTITIES

Personal = Literal["person", "contact", "line"]
"""`person` is the customer's id, `contact` an address of theirs, `line` a raw line, which may hold all."""

PERSON = "customer_id"
# By the name of a column, in any table, and of a field, in any line.
PERSONAL: dict[str, Personal] = {
    "customer_id": "person",
    "person": "person",  # of the activation tables: the customer whose message it is
    "email": "contact",
    "phone": "contact",
    "token": "contact",  # of a push device
    "raw_line": "line",
    "raw_text": "line",
}
PERSON_COLUMNS = frozenset(name for name, kind in PERSONAL.items() if kind == "person")
CONTACT_COLUMNS = frozenset(name for name, kind in PERSONAL.items() if kind == "contact")
LINE_COLUMNS = frozenset(name for name, kind in PERSONAL.items() if kind == "line")
LOWERED = frozenset({"email"})  # case does not distinguish these
# Keys of what belongs to a person, such as an order. They do not identify anybody by themselves.
RECORD_KEYS = frozenset(
    entity.key for entity in ENTITIES.values() if PERSON in entity.field_names and entity.key not in PERSONAL
)
