"""The bundle's YAML as mappings and lists that know the file and line of every value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from lakerun.errors import BundleError, first_line

# Lists of named elements: a target's override merges with the element of the same name.
MERGED_BY = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "parameters": "name",
    "clusters": "label",
}


@dataclass(frozen=True)
class Mark:
    """A value's location: `file` is relative to the bundle; relative paths are resolved from `folder`."""

    file: str
    line: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class YamlMap(dict[str, Any]):
    """A mapping; `marks` has the location of each key."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: dict[str, Mark] = {}

    def put(self, key: str, value: object, mark: Mark) -> None:
        self[key] = value
        self.marks[key] = mark


class YamlList(list[Any]):
    """A list; `marks` has the location of each element."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: list[Mark] = []

    def add(self, value: object, mark: Mark) -> None:
        self.append(value)
        self.marks.append(mark)


def read_yaml(path: Path, root: Path) -> YamlMap:
    """The mapping in a YAML file of the bundle at `root`, read as the Databricks CLI reads it.

    `true` and `false` are the only booleans, dates stay text, an empty file is an empty mapping. Raises
    BundleError with file and line for a file that cannot be read, a syntax error, a duplicate key, or a
    file that is not a mapping.
    """
    file = Path(os.path.relpath(path, root)).as_posix()  # an included file may be outside of the bundle
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
    except OSError as error:
        raise BundleError(f"cannot be read: {error.strerror}", location=file) from None
    except UnicodeDecodeError:
        raise BundleError("cannot be read: it is not UTF-8", location=file) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise BundleError(f"YAML syntax error: {problem}", location=where) from None
    except yaml.YAMLError as error:
        raise BundleError(f"YAML syntax error: {first_line(error)}", location=file) from None
    start = Mark(file, 1, path.parent)
    value = YamlMap(start) if node is None else _Construction(start).value(node)
    if not isinstance(value, YamlMap):
        raise BundleError(f"a mapping is expected, not {kind_of(value)}", location=start)
    return value


def merge(base: object, override: object, key: str = "") -> Any:
    """`override` on top of `base` as the Databricks CLI merges them; neither is changed.

    Mappings merge key by key; lists are joined, those of named elements element by element; any other
    value is replaced.
    """
    if isinstance(base, YamlMap) and isinstance(override, YamlMap):
        merged = YamlMap(base.mark)
        for name, value in base.items():
            merged.put(name, value, base.marks[name])
        for name, value in override.items():
            mark = merged.marks.get(name, override.marks[name])
            if name in merged:
                value = merge(merged[name], value, name)
                mark = mark if isinstance(value, (YamlMap, YamlList)) else override.marks[name]
            merged.put(name, value, mark)
        return merged
    if isinstance(base, YamlList) and isinstance(override, YamlList):
        return _merge_lists(base, override, MERGED_BY.get(key))
    return override


def kind_of(value: object) -> str:
    """What YAML calls a value's type, with its article, for messages."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    return "nothing" if value is None else "text"


def plain(value: object) -> Any:
    """The same value as ordinary dictionaries and lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


class _Loader(yaml.CSafeLoader):
    """SafeLoader without YAML 1.1's surprises: `on`, `no`, `1:30` and dates are text."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_TAG = "tag:yaml.org,2002:"
for _type, _first, _pattern in (
    ("null", ["~", "n", "N", ""], r"^(~|null|Null|NULL|)$"),
    ("merge", ["<"], r"^<<$"),
    ("bool", list("tTfF"), r"^(true|True|TRUE|false|False|FALSE)$"),
    ("int", list("-+0123456789"), r"^[-+]?[0-9]+$"),
    ("float", list("-+.0123456789"), r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$"),
):
    _Loader.add_implicit_resolver(_TAG + _type, re.compile(_pattern), _first)


class _Construction:
    """Turns the nodes of one file into values with marks."""

    def __init__(self, start: Mark) -> None:
        self._start = start
        self._open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self._open:
            raise self._error(node, "an anchor contains itself")
        self._open.add(id(node))
        value = self._list(node) if isinstance(node, yaml.SequenceNode) else self._map(node)
        self._open.remove(id(node))
        return value

    def _list(self, node: yaml.SequenceNode) -> YamlList:
        values = YamlList(self._mark(node))
        for item in node.value:
            values.add(self.value(item), self._mark(item))
        return values

    def _map(self, node: yaml.Node) -> YamlMap:
        values = YamlMap(self._mark(node))
        inherited: list[YamlMap] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                inherited += self._inherited(value_node)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a key must be text")
            key = str(key_node.value)
            if key in values:
                first = values.marks[key].line
                raise self._error(key_node, f"duplicate key '{key}', first used in line {first}")
            values.put(key, self.value(value_node), self._mark(key_node))
        for other in inherited:
            for key in other.keys() - values.keys():
                values.put(key, other[key], other.marks[key])
        return values

    def _inherited(self, node: yaml.Node) -> list[YamlMap]:
        """The mappings that `<<` merges in, by descending precedence."""
        value = self.value(node)
        maps = list(reversed(value)) if isinstance(value, YamlList) else [value]
        if not all(isinstance(item, YamlMap) for item in maps):
            raise self._error(node, "'<<' needs a mapping or a list of mappings")
        return maps

    def _mark(self, node: yaml.Node) -> Mark:
        return replace(self._start, line=node.start_mark.line + 1)

    def _error(self, node: yaml.Node, problem: str) -> BundleError:
        return BundleError(problem, location=self._mark(node))


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text = str(node.value)
    match node.tag.removeprefix(_TAG):
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "null":
            return None
        case _:
            return text


def _merge_lists(base: YamlList, override: YamlList, name_key: str | None) -> YamlList:
    merged = YamlList(base.mark)
    positions: dict[str, int] = {}
    for items in (base, override):
        for item, mark in zip(items, items.marks, strict=True):
            name = item.get(name_key) if name_key and isinstance(item, YamlMap) else None
            if isinstance(name, str) and name in positions:
                merged[positions[name]] = merge(merged[positions[name]], item)
                continue
            if isinstance(name, str):
                positions[name] = len(merged)
            merged.add(item, mark)
    return merged
