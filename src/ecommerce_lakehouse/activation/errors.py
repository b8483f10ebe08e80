"""What several parts of activation raise: `NoKeyError`, `StillDueError`."""

from __future__ import annotations

from ecommerce_lakehouse.errors import USAGE, ShopError


class NoKeyError(ShopError):
    """A key to send with is missing."""

    code = "NO_KEY"
    exit_code = USAGE


class StillDueError(ShopError):
    """Messages of a batch are not settled; the stream sends them again when it is started again."""

    code = "STILL_DUE"
