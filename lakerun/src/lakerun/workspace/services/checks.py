"""Checks and small helpers that the services share."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lakerun.workspace.errors import ApiError, invalid

Model = TypeVar("Model", bound=BaseModel)


def check(model: type[Model], body: object, at: str = "") -> Model:
    """`body` as the model; INVALID_PARAMETER_VALUE names the first invalid field, below `at`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise wrong_field((at, *first["loc"]) if at else first["loc"], first["msg"]) from None


def wrong_field(location: Iterable[object], problem: str) -> ApiError:
    """A model's error about the field at `location`."""
    field = ".".join(map(str, location))
    return invalid(f"{field or 'The request'}: {problem.removeprefix('Value error, ').rstrip('.')}.")


def like(pattern: str, *, one: str = "_") -> re.Pattern[str]:
    """A pattern as in LIKE, in which `one` is any letter, for `fullmatch`; it ignores case.

    Each part between two % is looked for only at its first place, which suffices: no text takes long.
    """
    first, *others = [
        "".join("." if letter == one else re.escape(letter) for letter in part) for part in pattern.split("%")
    ]
    if others:
        first += "".join(f"(?>.*?{part})" for part in others[:-1]) + f".*{others[-1]}"
    return re.compile(first, re.IGNORECASE | re.DOTALL)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def now_iso() -> str:
    """Now in UTC, as `2024-06-01T08:00:00.000Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are not None."""
    return {key: value for key, value in values.items() if value is not None}
