"""What all requests have in common: strict JSON, bounded numbers, and the base classes of their models."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StrictStr,
    model_validator,
)

from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paths import NAME_BYTES
from lakerun.workspace.store import Document

DEEPEST = 100  # levels of nesting; deeper values cannot be written as JSON again
LEAST, LARGEST = -(2**63), 2**63 - 1

Whole = Annotated[int, Field(ge=LEAST, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]


def _fits(name: str) -> str:
    if len(name.encode()) > NAME_BYTES:
        raise ValueError(f"it is longer than {NAME_BYTES} bytes")
    return name


# The name of a catalog, schema, table or volume, which is also that of a folder.
Name = Annotated[
    StrictStr,
    Field(min_length=1, max_length=NAME_BYTES, pattern=r"^[^\s./\\\x00-\x1f\x7f]+$"),
    AfterValidator(_fits),
]


class RequestModel(BaseModel):
    """The body of a request. Fields that Databricks does not know are ignored, as there."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class RunAs(RequestModel):
    """The identity of the runs of a job or a pipeline."""

    user_name: StrictStr | None = None
    service_principal_name: StrictStr | None = None


class Definition(RequestModel):
    """The definition of something that the workspace stores and shows as it was given."""

    model_config = ConfigDict(extra="allow")

    _given: Document = PrivateAttr()

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        checked = handler(value)
        if isinstance(value, Mapping):
            checked._given = dict(value)
        return checked

    def given(self) -> Document:
        """The definition as the client wrote it, also the fields that are not in the model."""
        return dict(self._given)


def read_json(body: bytes) -> Any:
    """The value in a body. ValueError also for what could not be stored or sent back unchanged.

    That is a repeated key, a number beyond 64 bits or not finite, more than 100 levels (JSONDecodeError), and
    a text with half of a surrogate pair.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused("it is not UTF-8") from None
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise _refused(f"it has more than {DEEPEST} levels") from None
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(value):
        raise _refused(f"it has more than {DEEPEST} levels")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("a text is not valid Unicode") from None
    return value


def json_refusal(error: ValueError) -> ApiError:
    """The API's answer to an error of `read_json`."""
    if isinstance(error, json.JSONDecodeError):
        return ApiError("MALFORMED_REQUEST", f"The request is not JSON: {error.msg}.")
    return invalid(f"The request: {error}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _refused(f"the key {ascii(repeated)[:100]} is repeated")
    return found


def _whole(text: str) -> int:
    if len(text) > 20 or not LEAST <= int(text) <= LARGEST:
        raise _refused(f"the number {text[:20]}... does not fit in 64 bits")
    return int(text)


def _decimal(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _refused(f"the number {text[:20]} is not finite")
    return number


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [part for item in level for part in _parts(item)]
    return bool(level)


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _refused(problem: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(problem, "", 0)


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_decimal, parse_constant=_decimal
)
