"""A bundle's root file and its name, without loading the rest of the bundle: `bundle_name`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from lakerun.errors import BundleError

if TYPE_CHECKING:
    from lakerun.bundles.yaml_tree import YamlMap

ROOT_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
# Matches nearly every bundle. Any other form is parsed as YAML, which takes ten times as long.
PLAIN_NAME = re.compile(r"^bundle:[ ]*\n(?:[ ]*(?:#.*)?\n)*[ ]+name:[ ]+([A-Za-z][\w-]*)[ ]*$", re.MULTILINE)


def bundle_name(root: Path) -> str:
    """The name of the bundle in folder `root`; BundleError if it has none."""
    path = root_path(root)
    text = path.read_text(encoding="utf-8", errors="replace")
    if (plain := PLAIN_NAME.search(text)) and text.count("\nbundle:") + text.startswith("bundle:") == 1:
        return plain[1]
    return name_in(root_file(root))


def root_path(root: Path) -> Path:
    """The file that makes a folder a bundle; BundleError if there is none, or more than one."""
    found = root_names(root)
    if not found:
        raise BundleError(f"There is no {ROOT_FILES[0]} in {root}. Run this in the bundle's folder.")
    if len(found) > 1:
        raise BundleError(f"{root} has {' and '.join(found)}. A bundle has one of them: remove the other.")
    return root / found[0]


def root_names(folder: Path) -> list[str]:
    """The root files, of all possible names, that a folder has."""
    return [name for name in ROOT_FILES if (folder / name).is_file()]


def root_file(root: Path) -> YamlMap:
    """The content of that file."""
    from lakerun.bundles.yaml_tree import read_yaml

    return read_yaml(root_path(root), root)


def name_in(tree: YamlMap) -> str:
    """The bundle's name in the content of its root file."""
    bundle = tree.get("bundle")
    name = bundle.get("name") if isinstance(bundle, dict) else None
    if not isinstance(name, str) or not name:
        raise BundleError("bundle.name: the bundle needs a name", location=tree.mark)
    return name
