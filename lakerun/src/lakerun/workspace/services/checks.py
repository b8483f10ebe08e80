"""Checks and small helpers that the services share."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lakerun.workspace.errors import invalid

Model = TypeVar("Model", bound=BaseModel)


def check(model: type[Model], body: object, at: str = "") -> Model:
    """`body` as the model; INVALID_PARAMETER_VALUE names the first invalid field, below `at`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in ((at, *first["loc"]) if at else first["loc"]))
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise invalid(f"{field or 'The request'}: {message}.") from None


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are not None."""
    return {key: value for key, value in values.items() if value is not None}
