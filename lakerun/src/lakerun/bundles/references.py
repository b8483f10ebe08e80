"""`${...}` references: `Resolver` replaces them with their values on a laptop."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakerun.bundles.yaml_tree import Mark, YamlList, YamlMap, kind_of
from lakerun.errors import BundleError, UnknownNameError

_NAME = r"[^\W\d_](?:[\w-]*[^\W_])?"  # a letter, then letters and digits, with - and _ between
REFERENCE = re.compile(rf"\$\{{({_NAME}(?:\[\d+\])*(?:\.{_NAME}(?:\[\d+\])*)*)\}}")
# Where a deployment keeps its files; on a laptop that is the bundle's own folder.
WORKSPACE_PATHS = ("root_path", "file_path", "artifact_path", "state_path", "resource_path")
# The second is an app's, in the permissions of what the app uses.
IDENTITIES = ("id", "service_principal_client_id")


class Resolver:
    """Resolves references in a merged bundle, on demand and recursively.

    A reference that is the whole text keeps its value's type; within other text it becomes text.
    Raises BundleError with file and key for one that cannot be resolved or leads back to itself.
    """

    def __init__(
        self, tree: YamlMap, variables: Mapping[str, tuple[Any, Mark]], target: str, root: Path
    ) -> None:
        self._tree = tree
        self._variables = variables
        self._local = _local_values(target, root)
        self._open: list[str] = []

    def resolve(self, value: object, key: str, mark: Mark) -> Any:
        """`value` with every reference replaced; `key` and `mark` say where it is written."""
        if isinstance(value, str):
            return self._text(value, key, mark)
        if isinstance(value, YamlMap):
            resolved = YamlMap(value.mark)
            for name, item in value.items():
                resolved.put(name, self.resolve(item, f"{key}.{name}", value.marks[name]), value.marks[name])
            return resolved
        if isinstance(value, YamlList):
            items = YamlList(value.mark)
            for position, (item, where) in enumerate(zip(value, value.marks, strict=True)):
                items.add(self.resolve(item, f"{key}[{position}]", where), where)
            return items
        return value

    def _text(self, text: str, key: str, mark: Mark) -> Any:
        whole = REFERENCE.fullmatch(text)
        if whole:
            return self._follow(whole[1], key, mark)
        return REFERENCE.sub(lambda found: self._within_text(found[1], key, mark), text)

    def _within_text(self, reference: str, key: str, mark: Mark) -> str:
        value = self._follow(reference, key, mark)
        if isinstance(value, (dict, list)):
            raise BundleError(
                f"{key}: ${{{reference}}} is {kind_of(value)} and cannot be part of text", location=mark
            )
        return as_text(value)

    def _follow(self, reference: str, key: str, mark: Mark) -> Any:
        if reference in self._local:
            return self._local[reference]
        if reference in self._open:
            cycle = " -> ".join([*self._open[self._open.index(reference) :], reference])
            raise BundleError(f"{key}: references form a cycle: {cycle}", location=mark)
        self._open.append(reference)
        try:
            return self._descend(reference, key, mark)
        finally:
            self._open.pop()

    def _descend(self, reference: str, key: str, mark: Mark) -> Any:
        steps = re.findall(r"[^.\[\]]+", reference)
        # Nothing is deployed, so a resource's key serves as its id.
        identity = (
            steps[2] if steps[0] == "resources" and len(steps) == 4 and steps[3] in IDENTITIES else None
        )
        value: Any = self._tree
        where = self._tree.mark
        if steps[0] == "var" and len(steps) > 1:
            if steps[1] not in self._variables:
                raise BundleError(
                    f"{key}: {UnknownNameError('variable', steps[1], self._variables)}", location=mark
                )
            value, where = self._variables[steps[1]]
            value = self.resolve(value, f"variables.{steps[1]}", where)
            steps = steps[2:]
        for step in steps[:-1] if identity else steps:
            if isinstance(value, str):
                value = self.resolve(value, reference, where)
            if isinstance(value, YamlMap) and step in value:
                value, where = value[step], value.marks[step]
            elif isinstance(value, YamlList) and step.isdigit() and int(step) < len(value):
                value, where = value[int(step)], value.marks[int(step)]
            else:
                valid = value.keys() if isinstance(value, YamlMap) else ()
                problem = UnknownNameError("key", step, valid)
                raise BundleError(f"{key}: ${{{reference}}} cannot be resolved. {problem}", location=mark)
        return identity or self.resolve(value, reference, where)


def as_text(value: object) -> str:
    """A scalar in the bundle's notation."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _local_values(target: str, root: Path) -> dict[str, str]:
    """Values of references to the workspace and the deployment, as there is neither."""
    user = _user()
    short_name = re.sub(r"\W", "_", user.split("@")[0])
    return {
        "bundle.target": target,
        "bundle.environment": target,
        "bundle.git.branch": "local",
        "bundle.git.commit": "local",
        "bundle.git.origin_url": "local",
        "workspace.host": "local",
        "workspace.current_user.id": "0",
        "workspace.current_user.active": "true",
        "workspace.current_user.userName": user,
        "workspace.current_user.displayName": user,
        "workspace.current_user.emails[0].value": user,
        "workspace.current_user.short_name": short_name,
        "workspace.current_user.domain_friendly_name": short_name,
        **{f"workspace.{path}": str(root) for path in WORKSPACE_PATHS},
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the process's user id has no entry, as in some containers
        return "local"
