"""What was deployed, as files on this machine: paths of the workspace, wheels, pipelines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from lakerun.bundles.model import PipelineSpec
from lakerun.errors import LakerunError
from lakerun.tables.storage import Storage, TableName

NOTEBOOK_HEADER = b"# Databricks notebook source"


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
            raise LakerunError(f"'{name}' is no path in the workspace: it has to start with '/'.")
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
        catalog, schema = spec.get("catalog"), spec.get("schema") or spec.get("target")
        if not catalog or not schema:
            raise LakerunError(f"Pipeline {name} names no {'schema' if catalog else 'catalog'}.")
        log = spec.get("event_log") or {}
        root = spec.get("root_path")
        return PipelineSpec(
            key=pipeline_id,
            name=name,
            catalog=catalog,
            schema=schema,
            configuration={key: str(value) for key, value in (spec.get("configuration") or {}).items()},
            source_files=self._sources(name, spec.get("libraries") or []),
            root_path=self.path(root) if root else None,
            event_log=TableName(log.get("catalog") or catalog, log.get("schema") or schema, log["name"])
            if log.get("name")
            else None,
            serverless=bool(spec.get("serverless")),
            development=bool(spec.get("development")),
            continuous=bool(spec.get("continuous")),
        )

    def pipeline_wheels(self, name: str, spec: Mapping[str, Any]) -> tuple[str, ...]:
        """The wheels of a pipeline's environment."""
        environment = spec.get("environment") or {}
        return self.wheels(environment.get("dependencies") or [], f"Pipeline {name}")

    def _sources(self, name: str, libraries: Iterable[Mapping[str, Any]]) -> tuple[Path, ...]:
        found: set[Path] = set()
        for library in libraries:
            if "glob" in library:
                include = library["glob"]["include"]
                folder = self.path(include.removesuffix("**").rstrip("/"))
                files = {file for file in folder.rglob("*") if file.is_file() and _is_python(file)}
                if not files:
                    raise LakerunError(f"Pipeline {name}: there is no Python file at '{include}'.")
                found |= files
            elif "file" in library:
                found.add(self.source(library["file"]["path"]))
            elif "notebook" in library:
                found.add(self.source(library["notebook"]["path"]))
            else:
                kind = ", ".join(library) or "nothing"
                raise LakerunError(f"Pipeline {name}: a library of type {kind} is not run here.")
        if not found:
            raise LakerunError(f"Pipeline {name} has no libraries.")
        return tuple(sorted(found))


def _is_python(file: Path) -> bool:
    """Whether a file holds Python; a notebook is stored without its ending and known by its first line."""
    if file.suffix:
        return file.suffix == ".py"
    with file.open("rb") as lines:
        return lines.readline().rstrip() == NOTEBOOK_HEADER


def _not_installed(dependency: str) -> str | None:
    """The package of a requirement such as `httpx>=0.28`, if it is missing; options and URLs are let be."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", dependency.strip())
    if found is None or "://" in dependency:
        return None
    try:
        metadata.distribution(found[0])
    except metadata.PackageNotFoundError:
        return found[0]
    return None
