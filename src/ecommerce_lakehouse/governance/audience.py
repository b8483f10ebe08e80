"""The one declaration of who may read which table: `audience_of`."""

from __future__ import annotations

from typing import Literal

from ecommerce_lakehouse.config.settings import LAYERS, Layer
from ecommerce_lakehouse.domain.personal import CONTACT_COLUMNS, LINE_COLUMNS

Audience = Literal["readers", "personal_data"]
"""Everybody in the readers' group, or only those who may see personal data and raw lines."""

# Bronze and quarantine hold raw lines, silver holds e-mail addresses, and a message of an event log may quote
# a row. So a table of another layer, or of none, is private until its layer is written here.
FOR_READERS: tuple[Layer, ...] = ("gold", "feature")
# Of these layers, but with names of people: a household may be called as the family is.
WITHHELD = frozenset({"gold_household_members"})
# No table for readers may have one of these columns; a test looks at all of them.
PERSONAL_COLUMNS = CONTACT_COLUMNS | LINE_COLUMNS | {"household_name"}


def audience_of(table: str) -> Audience:
    """Who may read a table, by its name without catalog and schema; `personal_data` for an unknown one."""
    layer = next((layer for layer in LAYERS if table.startswith(f"{layer}_")), None)
    return "readers" if layer in FOR_READERS and table not in WITHHELD else "personal_data"
