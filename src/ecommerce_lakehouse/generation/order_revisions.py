"""What a batch of orders says about those of the batch before it: `revisions`.

For each of some orders, which were delivered as pending, there are five lines, as in the sample data:

- the order once more, byte for byte;
- that it is being processed;
- what became of it, which for one in four also corrects the number of items;
- the same again from another system, made at the same time, which is not as far in the order's life;
- an older order of the same customer, which arrives a batch late.

Of every second order these arrive in the opposite order.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

LINES = 5
CORRECTED_EVERY = 4
LATENESS_SECONDS = 3600
# What becomes of an order; the last is the record that stays.
OUTCOMES: Mapping[str, int] = {"shipped": 12, "delivered": 74, "cancelled": 8, "returned": 6}
LEAST_AGE = timedelta(seconds=3)  # so that its records have different times

Order = dict[str, Any]


def revisions(placed: Sequence[Order], draw: random.Random, now: datetime) -> list[Order]:
    """The lines about these orders, made between an order's time and `now`; `LINES` for each order."""
    found: list[Order] = []
    for number, order in enumerate(placed):
        lines = _lines(order, draw, now, corrected=number % CORRECTED_EVERY == CORRECTED_EVERY - 1)
        found += reversed(lines) if number % 2 else lines
    return found


def revisable(folder: Path, most: int, now: datetime) -> list[Order]:
    """At most `most` pending orders of the folder's newest batch; empty without a batch."""
    newest = max((path for path in folder.glob("orders_*.json")), default=None) if most else None
    if newest is None:
        return []
    orders = [json.loads(line) for line in newest.read_text(encoding="utf-8").splitlines()]
    return [order for order in orders if _is_revisable(order, now)][:most]


def _is_revisable(order: Order, now: datetime) -> bool:
    return (
        order["order_id"] is not None
        and order["status"] == "pending"
        and "updated_at" not in order
        and isinstance(order["price"], float)
        and order["items_ordered"] > 0
        and datetime.fromisoformat(order["order_timestamp"]) <= now - LEAST_AGE
    )


def _lines(order: Order, draw: random.Random, now: datetime, *, corrected: bool) -> list[Order]:
    placed = datetime.fromisoformat(order["order_timestamp"])
    third = (now - placed) / 3
    processed, decided = (f"{placed + third * part:%Y-%m-%dT%H:%M:%SZ}" for part in (1, 2))
    items = order["items_ordered"] + corrected
    status = draw.choices(tuple(OUTCOMES), tuple(OUTCOMES.values()))[0]
    late = placed - timedelta(seconds=1 + draw.randrange(LATENESS_SECONDS))
    return [
        order,
        order | {"status": "processing", "updated_at": processed},
        order | {"status": status, "items_ordered": items, "updated_at": decided},
        order | {"items_ordered": items, "updated_at": decided},
        order
        | {
            "order_id": f"B{draw.getrandbits(64):016x}",
            "status": "delivered",
            "date_ordered": f"{late:%Y-%m-%d}",
            "order_timestamp": f"{late:%Y-%m-%dT%H:%M:%SZ}",
        },
    ]
