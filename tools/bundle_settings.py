"""Lists the settings of pipelines and jobs that the bundle's JSON schema has, so that a new one is found.

Run it after an update of the CLI:

    databricks bundle schema | uv run python -m tools.bundle_settings

It writes lakerun/tests/unit/bundle_settings.json: for each type of mapping its settings, each with the type
of the mapping that it holds. What `lakerun.bundles.settings` does not carry out is not followed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOTS = ("resources.Pipeline", "resources.Job")
FILE = Path(__file__).parents[1] / "lakerun" / "tests" / "unit" / "bundle_settings.json"
Types = Mapping[str, Mapping[str, Any]]


def main() -> None:
    types = dict(_types(json.load(sys.stdin)["$defs"]["github.com"]))
    found: dict[str, dict[str, str]] = {}
    for root in ROOTS:
        _follow(root, types, found)
    FILE.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", encoding="utf-8")


def _follow(name: str, types: Types, found: dict[str, dict[str, str]]) -> None:
    from lakerun.bundles.settings import SETTINGS

    if name in found:
        return
    found[name] = {}
    for setting, schema in sorted(_properties(types[name]).items()):
        inner = _held(schema, types)
        found[name][setting] = inner
        known = SETTINGS.get(name, {}).get(setting)
        if inner and (known is None or known.parts):
            _follow(inner, types, found)


def _types(definitions: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every type by the last part of its path, such as jobs.Task."""
    for name, value in definitions.items():
        if isinstance(value, dict) and value.keys().isdisjoint({"anyOf", "oneOf", "type", "$ref"}):
            yield from _types(value)
        else:
            yield name, value


def _alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return schema.get("anyOf") or schema.get("oneOf") or [schema]


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((found for one in _alternatives(schema) if (found := one.get("properties"))), {})


def _held(schema: Mapping[str, Any], types: Types) -> str:
    """The type of the mapping, or of the mappings in the list, that a setting holds; empty for others."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return name if name in types and _properties(types[name]) else ""


if __name__ == "__main__":
    main()
