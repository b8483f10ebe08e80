"""The cause of a failure in Spark: `root_cause`, `readable`. By the classes of errors, not their text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakerun.errors import LakerunError, first_line, typed_first_line
from lakerun.spark.memory import full, why_ended

# These only say where it happened.
WRAPPERS = ("STREAM_FAILED", "FOREACH_BATCH_USER_FUNCTION_ERROR", "FOREACH_USER_FUNCTION_ERROR")

AUTO_LOADER = (
    "Auto Loader ('cloudFiles') exists only on Databricks. Here read the folder as a stream of its format, "
    "for example spark.readStream.schema(...).csv(folder)."
)


@dataclass(frozen=True)
class Cause:
    """An error's innermost cause in one line; `condition` and `parameters` as Spark documents them.

    Both are empty if the cause is not an error of Spark.
    """

    message: str
    condition: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def readable(error: BaseException) -> BaseException:
    """The error; for one that only says that Java failed or has ended, an error with the reason."""
    if "py4j.protocol" not in sys.modules:
        return error
    from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]

    if isinstance(error, Py4JJavaError):
        return LakerunError(root_cause(error).message)
    return LakerunError(ended) if (ended := end_of_spark(error)) else error


def root_cause(error: BaseException) -> Cause:
    """The innermost of the errors that led to this one."""
    if ended := end_of_spark(error):
        return Cause(ended)
    found = list(_java_errors(error))
    if not found:
        return Cause(typed_first_line(error)[:500])
    if any(_is_a(java, "java.lang.OutOfMemoryError") for java in found):  # one of Spark's own checks
        return Cause(full())
    known = [cause for cause in map(_spark_cause, found) if cause and cause.condition not in WRAPPERS]
    return known[-1] if known else Cause(_first(found[-1].getMessage() or found[-1].toString()))


def end_of_spark(error: BaseException) -> str | None:
    """Why Spark has ended, in one line with what to do; None if this error does not come from that."""
    from py4j.protocol import Py4JError, Py4JJavaError, Py4JNetworkError
    from pyspark.errors.exceptions.captured import CapturedException

    # An answer that did not come is an error of exactly this class.
    if type(error) is Py4JError or isinstance(error, (Py4JNetworkError, ConnectionError)):
        return why_ended(wait=True)
    return why_ended() if isinstance(error, (Py4JJavaError, CapturedException)) else None


def _java_errors(error: BaseException) -> Iterator[Any]:
    """The Java exception behind a Python one, and its causes."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors.exceptions.captured import CapturedException

    java = None
    if isinstance(error, Py4JJavaError):
        java = error.java_exception
    elif isinstance(error, CapturedException):
        java = error._origin
    while java is not None:
        yield java
        java = java.getCause()


def _spark_cause(java: Any) -> Cause | None:
    """None for an exception that has no error class."""
    if not _is_a(java, "org.apache.spark.SparkThrowable"):
        return None
    condition = java.getCondition()
    if not condition:
        return None
    parameters = {str(key): str(value) for key, value in java.getMessageParameters().items()}
    if condition == "PYTHON_EXCEPTION":  # its message is a traceback, which ends with the error
        text = parameters["traceback"].strip().splitlines()[-1]
    else:
        text = _first(java.getMessage()).removeprefix(f"[{condition}] ")
        text = text.removesuffix(f" SQLSTATE: {java.getSqlState()}")
    if condition == "DATA_SOURCE_NOT_FOUND" and parameters.get("provider", "").lower() == "cloudfiles":
        text = AUTO_LOADER
    return Cause(text[:500], condition, parameters)


def _is_a(java: Any, name: str) -> bool:
    from py4j.java_gateway import is_instance_of  # type: ignore[import-untyped]
    from pyspark import SparkContext

    return bool(is_instance_of(SparkContext._gateway, java, name))


def _first(text: str) -> str:
    return first_line(Exception(text), at_most=500)
