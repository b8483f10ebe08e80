"""Finds the settings that are refused here and those without effect: `review`, `check_supported`."""

from __future__ import annotations

from dataclasses import dataclass, field

from lakerun.bundles.model import Finding, JobSpec, PipelineSpec
from lakerun.bundles.sections import Section
from lakerun.bundles.settings import SETTINGS
from lakerun.bundles.source_files import check_source_files
from lakerun.errors import BundleError, LakerunError


@dataclass
class Review:
    """The findings in settings, in the order of the settings."""

    refused: list[Finding] = field(default_factory=list)
    without_effect: list[Finding] = field(default_factory=list)

    def as_fields(self) -> dict[str, tuple[Finding, ...]]:
        """The findings as the fields of a spec."""
        return {"refused": tuple(self.refused), "without_effect": tuple(self.without_effect)}


def review(section: Section, kind: str, found: Review | None = None) -> Review:
    """Compares the settings of a pipeline, a job or a part of one with `SETTINGS[kind]`.

    A setting that is not in the list has no effect, as Databricks ignores it too.
    """
    found = found or Review()
    for name, value in section.values.items():
        known = SETTINGS[kind].get(name)
        if known is None:
            found.without_effect.append(_finding(section, name, "Databricks has no such setting"))
        elif known.refuses(value):
            found.refused.append(_finding(section, name, f"it is not supported here. {known.reason}"))
        elif known.ignores(value):
            found.without_effect.append(_finding(section, name, known.reason))
        elif known.parts and value:
            parts = section.sections(name) if isinstance(value, list) else [section.section(name)]
            for part in parts:
                review(part, known.parts, found)
    return found


def check_supported(spec: PipelineSpec | JobSpec) -> None:
    """Raises LakerunError, which names the first setting or source file that is refused here."""
    for finding in spec.refused:
        raise BundleError(finding.message, location=finding.location or None)
    if isinstance(spec, PipelineSpec):
        check_source_files(spec.source_files)


def _finding(section: Section, name: str, problem: str) -> Finding:
    error: LakerunError = section.error(name, problem)
    return Finding(setting=name, message=error.message, location=error.location or "")
