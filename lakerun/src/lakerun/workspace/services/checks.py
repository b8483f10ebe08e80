"""Checks of input that every service makes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lakerun.workspace.errors import invalid

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item")


def check(model: type[Model], body: object, at: str = "") -> Model:
    """`body` as the model; INVALID_PARAMETER_VALUE names the first wrong field, below `at`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in ((at, *first["loc"]) if at else first["loc"]))
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise invalid(f"{field or 'The request'}: {message}.") from None


def page_of(items: Sequence[Item], token: str | None, size: int) -> tuple[list[Item], str | None]:
    """The page at `token`, None for the first, and the next page's token, None after the last."""
    offset = 0
    if token:
        if not token.isdecimal():
            raise invalid(f"page_token: {token!r} did not come from an earlier answer.")
        offset = int(token)
    following = offset + size
    return list(items[offset:following]), str(following) if following < len(items) else None


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are set."""
    return {key: value for key, value in values.items() if value is not None}
