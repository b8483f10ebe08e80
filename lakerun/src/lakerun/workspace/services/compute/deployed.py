"""Finds deployed files on this machine: workspace paths, wheels, the sources of pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lakerun.bundles.dependencies import is_path, placed
from lakerun.bundles.model import PipelineSpec
from lakerun.bundles.pipeline_specs import read_pipeline
from lakerun.bundles.sections import Section
from lakerun.errors import LakerunError, SettingsError
from lakerun.tables.storage import Storage
from lakerun.workspace.paths import checked_names


class Deployed:
    """Finds the files behind the workspace and volume paths in jobs and pipelines."""

    def __init__(self, storage: Storage, workspace_path: Callable[[str], Path]) -> None:
        self.storage = storage
        self._workspace_path = workspace_path

    def path(self, name: str) -> Path:
        """The file of a workspace path or a `/Volumes/...` path; LakerunError if it is outside of both."""
        text = name.removeprefix("file:").removeprefix("dbfs:")
        parts = PurePosixPath(text).parts
        if text.startswith("/"):
            checked_names(text)
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

    def dependencies(self, lines: Iterable[str], owner: str) -> tuple[str, ...]:
        """The lines of an environment's dependencies, their paths as files; `owner` is for errors.

        Raises LakerunError for a wheel that is not there.
        """
        found = tuple(placed(line, lambda path: str(self.path(path))) for line in lines)
        for line, given in zip(found, lines, strict=True):
            if is_path(line) and line.endswith(".whl") and not Path(line).is_file():
                raise LakerunError(
                    f"{owner} needs the wheel '{given}', which is not in the workspace: "
                    "deploy the bundle again."
                )
        return found

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
