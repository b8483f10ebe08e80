"""From a pipeline's settings, in YAML or as the API gets them, to a `PipelineSpec`: `read_pipeline`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lakerun.bundles.dependencies import placed
from lakerun.bundles.job_specs import placed_dependencies
from lakerun.bundles.model import PipelineSpec
from lakerun.bundles.review import review
from lakerun.bundles.sections import Section
from lakerun.tables.storage import TableName

Place = Callable[[Section, str, str], Path]
"""Where the path that a section has under a key is on this machine."""

LIBRARIES = {"glob": "include", "file": "path", "notebook": "path"}  # other kinds are refused
# The header of a notebook in Databricks' source format; one that was deployed has no ending.
NOTEBOOK_HEADERS = tuple(f"{comment} Databricks notebook source" for comment in ("#", "--", "//"))
SOURCE_ENDINGS = (".py", ".sql", ".ipynb")


def read_pipeline(section: Section, key: str, place: Place, *, development: bool = False) -> PipelineSpec:
    """A pipeline's settings, its paths as files on this machine."""
    catalog = section.text("catalog")
    schema = section.text("schema" if section.values.get("schema") else "target")
    spec = PipelineSpec(
        key=key,
        name=section.text("name", key),
        catalog=catalog,
        schema=schema,
        configuration=section.text_map("configuration"),
        source_files=_source_files(section, place),
        root_path=place(section, "root_path", section.text("root_path"))
        if section.values.get("root_path")
        else None,
        event_log=_event_log(section, catalog, schema),
        serverless=section.flag("serverless", False),
        development=development or section.flag("development", False),
        spark_conf=_spark_conf(section),
        dependencies=_dependencies(section.section("environment"), place),
    )
    return spec.model_copy(update=review(section, "resources.Pipeline").as_fields())


def _spark_conf(section: Section) -> dict[str, str]:
    """The Spark settings of the clusters that run updates."""
    found: dict[str, str] = {}
    for cluster in section.sections("clusters"):
        if cluster.text("label", "default") != "maintenance":
            found |= cluster.text_map("spark_conf")
    return found


def _dependencies(environment: Section, place: Place) -> tuple[str, ...]:
    lines = environment.texts("dependencies")
    if environment.mark("dependencies") is not None:
        return placed_dependencies(environment, "dependencies", lines)
    return tuple(placed(line, lambda path: str(place(environment, "dependencies", path))) for line in lines)


def _event_log(section: Section, catalog: str, schema: str) -> TableName | None:
    log = section.section("event_log")
    if not log.values:
        return None
    return TableName(log.text("catalog", catalog), log.text("schema", schema), log.text("name"))


def _source_files(section: Section, place: Place) -> tuple[Path, ...]:
    """The source files that the libraries name: a glob, a file, or a notebook each.

    Files in SQL or of Jupyter are among them: loading refuses what it cannot run, by its name.
    """
    files: set[Path] = set()
    for library in section.sections("libraries"):
        for kind in library.values.keys() & LIBRARIES:
            inner, key = library.section(kind), LIBRARIES[kind]
            text = inner.text(key)
            found = _named(place(inner, key, text.removesuffix("**").rstrip("/")), text.endswith("**"))
            if not found:
                raise inner.error(key, f"there is no source file at '{text}'")
            files |= found
    return tuple(sorted(files))


def _named(path: Path, is_folder: bool) -> set[Path]:
    """The source files below a folder, or the one at a path that may lack a notebook's ending."""
    if is_folder:
        return {file for file in path.rglob("*") if file.is_file() and _is_source(file)}
    candidates = (path, *(path.with_name(f"{path.name}{ending}") for ending in SOURCE_ENDINGS))
    return set([file for file in candidates if file.is_file()][:1])


def _is_source(file: Path) -> bool:
    if file.suffix:
        return file.suffix in SOURCE_ENDINGS
    with file.open("rb") as lines:
        return lines.readline().rstrip().decode(errors="replace") in NOTEBOOK_HEADERS
