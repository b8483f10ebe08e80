"""Resources that a bundle defines in Python, as the Databricks CLI loads them: `with_python_resources`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakerun.bundles.yaml_tree import Mark, YamlList, YamlMap, plain
from lakerun.errors import BundleError

MODULE = "databricks.bundles.build"
SECONDS = 120


def with_python_resources(
    tree: YamlMap, python: YamlMap, root: Path, target: str, variables: Mapping[str, Any]
) -> YamlMap:
    """The `resources` of the tree, and those that the section `python` of the bundle adds or changes.

    The package databricks-bundles does the work, in the virtual environment that `venv_path` names. Paths in
    what Python defines are relative to the bundle's folder. Raises BundleError in one line.
    """
    mark = tree.marks.get("python", tree.mark)
    known = {
        "bundle": {**plain(tree.get("bundle") or {}), "target": target},
        "variables": {name: {"value": value} for name, value in variables.items()},
        "python": plain(python),
        "resources": plain(tree.get("resources") or {}),
    }
    for phase, setting in (("load_resources", "resources"), ("apply_mutators", "mutators")):
        if python.get(setting):
            known = _run(phase, known, _interpreter(python, root, mark), root, mark)
    made = Mark("resources in Python", 1, root)
    found: YamlMap = _changed(tree.get("resources"), known.get("resources") or {}, made)
    return found


def _interpreter(python: YamlMap, root: Path, mark: Mark) -> str:
    if not python.get("venv_path"):
        return sys.executable
    folder = root / str(python["venv_path"])
    found = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not found.exists():
        raise BundleError(
            f"python.venv_path: there is no folder '{python['venv_path']}': make it with 'uv sync'",
            location=mark,
        )
    return str(found)


def _run(phase: str, known: Mapping[str, Any], interpreter: str, root: Path, mark: Mark) -> dict[str, Any]:
    """What the package makes of the bundle in one phase."""
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        names = ("input", "output", "diagnostics", "locations")
        files = {name: Path(folder, f"{name}.json") for name in names}
        files["input"].write_text(json.dumps(known), encoding="utf-8")
        options = [text for name, file in files.items() for text in (f"--{name}", str(file))]
        try:
            done = subprocess.run(
                [interpreter, "-m", MODULE, "--phase", phase, *options],
                cwd=root,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise BundleError(f"python: {phase} did not end within {SECONDS} s", location=mark) from None
        _raise_first_error(files["diagnostics"], mark)
        if done.returncode or not files["output"].exists():
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise BundleError(f"python: {phase} failed: {last}", location=mark)
        answer: dict[str, Any] = json.loads(files["output"].read_text(encoding="utf-8"))
    return answer


def _raise_first_error(diagnostics: Path, mark: Mark) -> None:
    """Each line of the file is a finding; the first error stops the load."""
    lines = diagnostics.read_text(encoding="utf-8").splitlines() if diagnostics.exists() else []
    for found in map(json.loads, filter(None, lines)):
        if found.get("severity") == "error":
            place = found.get("location") or {}
            detail = (str(found.get("detail") or "").strip().splitlines() or [""])[-1]
            text = ": ".join(filter(None, [str(found["summary"]).rstrip("."), detail]))
            where = f"{place['file']}:{place.get('line', 1)}" if place.get("file") else mark
            raise BundleError(f"python: {text}", location=where)


def _changed(old: object, new: object, made: Mark) -> Any:
    """The new value; what is as it was keeps its place in the YAML, from which its paths are resolved."""
    if old is not None and plain(old) == new:
        return old
    if isinstance(new, dict):
        known = old if isinstance(old, YamlMap) else YamlMap(made)
        mapping = YamlMap(known.mark)
        for key, value in new.items():
            item = _changed(known.get(key), value, made)
            mapping.put(key, item, known.marks[key] if item is known.get(key) and key in known else made)
        return mapping
    if isinstance(new, list):
        items = YamlList(made)
        before = old if isinstance(old, YamlList) else []
        for position, value in enumerate(new):
            same = position < len(before) and plain(before[position]) == value
            item = before[position] if same else _changed(None, value, made)
            items.add(item, before.marks[position] if same and isinstance(before, YamlList) else made)
        return items
    return new
