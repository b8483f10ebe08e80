"""What was deployed, as files on this machine: paths of the workspace, wheels, pipelines."""

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
    """Files of the workspace's folder and of its volumes by the paths that jobs and pipelines name."""

    def __init__(self, storage: Storage, workspace_path: Callable[[str], Path]) -> None:
        self._storage = storage
        self._workspace_path = workspace_path

    def path(self, name: str) -> Path:
        """Where a workspace path or `/Volumes/...` path is; LakerunError for one that leads out of both."""
        text = name.removeprefix("file:").removeprefix("dbfs:")
        parts = PurePosixPath(text).parts
        if parts[:2] == ("/", "Volumes"):
            root = self._storage.volumes_root
            found = root.joinpath(*parts[2:])
            if not found.resolve().is_relative_to(root.resolve()):
                raise LakerunError(f"'{name}' leads out of the volumes.")
            return found
        if parts[:1] != ("/",):
            raise LakerunError(f"'{name}' is not a path in the workspace: it has to start with '/'.")
        return self._workspace_path(text)

    def source(self, name: str) -> Path:
        """A Python file or a notebook, which is named without its ending; LakerunError if it is missing."""
        path = self.path(name)
        for candidate in (path, *(path.with_name(path.name + ending) for ending in (".py", ".ipynb"))):
            if candidate.is_file():
                return candidate
        raise LakerunError(f"'{name}' is not in the workspace: deploy the bundle again.")

    def wheels(self, dependencies: Iterable[str], owner: str) -> tuple[str, ...]:
        """The wheel files among an environment's dependencies; `owner` names the environment in errors.

        Raises LakerunError for a wheel that is not there, and for a package that is not installed: the
        workspace installs nothing.
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
                    f"install {missing} beside lakerun and restart the workspace."
                )
        return tuple(found)

    def pipeline(self, pipeline_id: str, spec: Mapping[str, Any]) -> PipelineSpec:
        """A pipeline's settings, as its deployment gave them, for the engine."""
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
