"""What activation's streams raise, so that Spark repeats a batch: `StillDueError`."""

from __future__ import annotations

from ecommerce_lakehouse.errors import ShopError


class StillDueError(ShopError):
    """Messages of a batch are not settled; the stream sends them again when it is started again."""

    code = "STILL_DUE"
