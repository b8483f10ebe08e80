"""Caches what PySpark asks the JVM at each use of a function: `remember_jvm_names`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lakerun.patches import JVM_NAMES, patch_permanently


def remember_jvm_names() -> None:
    """Let py4j remember the class, or the static method of a class, behind a name.

    PySpark builds a column by a static method of the JVM, and looks up class and method each time: two
    requests for each call, and 40,000 in an update of the pipelines.
    """
    patch_permanently(dict.fromkeys(JVM_NAMES, _remembering))


def _remembering(look_up: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    from py4j.java_gateway import JavaClass, JavaMember  # type: ignore[import-untyped]

    def found(self: Any, name: str) -> Any:
        value = look_up(self, name)
        # Not a field's value, nor a package, which may turn out to be a class.
        if isinstance(value, (JavaClass, JavaMember)):
            vars(self)[name] = value
        return value

    return found
