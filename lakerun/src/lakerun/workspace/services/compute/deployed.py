"""Finds deployed files on this machine: workspace paths, wheels, the sources of pipelines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from lakerun.bundles.model import PipelineSpec
from lakerun.bundles.pipeline_specs import read_pipeline
from lakerun.bundles.sections import Section
from lakerun.errors import LakerunError, SettingsError
from lakerun.tables.storage import Storage


class Deployed:
    """Finds the files behind the workspace and volume paths in jobs and pipelines."""

    def __init__(self, storage: Storage, workspace_path: Callable[[str], Path]) -> None:
        self.storage = storage
        self._workspace_path = workspace_path

    def path(self, name: str) -> Path:
        """The file of a workspace path or a `/Volumes/...` path; LakerunError if it is outside of both."""
        text = name.removeprefix("file:").removeprefix("dbfs:")
        parts = PurePosixPath(text).parts
        if parts[:2] == ("/", "Volumes"):
            root = self.storage.volumes_root
            found = root.joinpath(*parts[2:])
            if not found.resolve().is_relative_to(root.resolve()):
                raise LakerunError(f"'{name}' is outside of the volumes.")
            return found
        if parts[:1] != ("/",):
            raise LakerunError(f"'{name}' is not a path in the workspace: it must start with '/'.")
        return self._workspace_path(text)

    def source(self, name: str) -> Path:
        """A Python file, or a notebook, whose path has no suffix; LakerunError if it is missing."""
        path = self.path(name)
        for candidate in (path, *(path.with_name(path.name + suffix) for suffix in (".py", ".ipynb"))):
            if candidate.is_file():
                return candidate
        raise LakerunError(f"'{name}' is not in the workspace: deploy the bundle again.")

    def wheels(self, dependencies: Iterable[str], owner: str) -> tuple[str, ...]:
        """The wheel files among an environment's dependencies; `owner` names the environment in errors.

        Raises LakerunError for a missing wheel, and for a package that is not installed, as the workspace
        does not install any.
        """
        found = []
        for dependency in dependencies:
            if dependency.endswith(".whl"):
                path = self.path(dependency)
                if not path.is_file():
                    raise LakerunError(
                        f"{owner} needs the wheel '{dependency}', which is not in the workspace: "
                        "deploy the bundle again."
                    )
                found.append(str(path))
            elif missing := _not_installed(dependency):
                raise LakerunError(
                    f"{owner} needs the package '{missing}', which is not installed here: "
                    f"install {missing} in lakerun's environment and restart the workspace."
                )
        return tuple(found)

    def pipeline(self, pipeline_id: str, spec: Mapping[str, Any]) -> PipelineSpec:
        """The pipeline that the deployed settings describe."""
        name = spec.get("name") or pipeline_id
        try:
            read = read_pipeline(Section(spec), pipeline_id, lambda _section, _key, path: self.path(path))
        except SettingsError as error:
            raise LakerunError(f"Pipeline {name}: {error}.") from None
        if not read.source_files:
            raise LakerunError(f"Pipeline {name} has no libraries.")
        return read

    def pipeline_wheels(self, name: str, spec: Mapping[str, Any]) -> tuple[str, ...]:
        """The wheels of a pipeline's environment."""
        environment = spec.get("environment") or {}
        return self.wheels(environment.get("dependencies") or [], f"Pipeline {name}")


def _not_installed(dependency: str) -> str | None:
    """The package of a requirement such as `httpx>=0.28`, if it is missing; options and URLs are skipped."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", dependency.strip())
    if found is None or "://" in dependency:
        return None
    try:
        metadata.distribution(found[0])
    except metadata.PackageNotFoundError:
        return found[0]
    return None
