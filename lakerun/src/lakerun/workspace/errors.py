"""Errors in Databricks' format, so that the SDK raises its own exceptions."""

from __future__ import annotations

from lakerun.errors import LakerunError

STATUS = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "MALFORMED_REQUEST": 400,
    "INVALID_STATE": 400,
    "MAX_READ_SIZE_EXCEEDED": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "RESOURCE_ALREADY_EXISTS": 400,
    "ALREADY_EXISTS": 409,
    "REQUEST_TOO_LARGE": 413,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
}


class ApiError(LakerunError):
    """A failed call: `code` as Databricks names it, a message for people, and the HTTP status.

    `reason` is for the few errors that clients distinguish by Google's ErrorInfo.
    """

    def __init__(self, code: str, message: str, status: int | None = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or STATUS[code]
        self.reason = reason

    def body(self) -> dict[str, object]:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": self.reason, "domain": ""}
        details = [info] if self.reason else []
        return {"error_code": self.code, "message": self.message, "details": details}


def invalid(message: str) -> ApiError:
    """An invalid value; the message names its field."""
    return ApiError("INVALID_PARAMETER_VALUE", message)


def missing(what: str, name: object) -> ApiError:
    """Something that does not exist; `what` is its kind, such as 'Job'."""
    return ApiError("RESOURCE_DOES_NOT_EXIST", f"{what} {name} does not exist.")
