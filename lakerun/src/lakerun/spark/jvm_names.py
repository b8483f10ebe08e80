"""What PySpark asks the JVM at each use of a function, asked once: `remember_jvm_names`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def remember_jvm_names() -> None:
    """Let py4j remember which class, and which static method of it, a name stands for.

    PySpark builds a column by a static method of the JVM, and looks up class and method each time: two
    questions for each call, and 40,000 in an update of the pipelines.
    """
    from py4j.java_gateway import JavaClass, JVMView  # type: ignore[import-untyped]

    for kind in (JVMView, JavaClass):
        if not hasattr(kind.__getattr__, "remembers"):
            kind.__getattr__ = _remembering(kind.__getattr__)


def _remembering(look_up: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    from py4j.java_gateway import JavaClass, JavaMember

    def found(self: Any, name: str) -> Any:
        value = look_up(self, name)
        # Not a field's value, nor a package, which may turn out to be a class.
        if isinstance(value, (JavaClass, JavaMember)):
            vars(self)[name] = value
        return value

    found.remembers = True  # type: ignore[attr-defined]
    return found
