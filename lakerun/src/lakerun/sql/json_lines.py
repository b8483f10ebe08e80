"""The line of each value in a JSON file: `lines_of`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

JsonPath = tuple[str | int, ...]


def lines_of(text: str) -> Callable[[JsonPath, int], int]:
    """A function that gives the line, from 1, of the value at a path.

    Its second argument is added to the line, for a position in a list of lines, such as a query.
    """
    compose = cache(lambda: _compose(text))  # a file without a mistake is not read again

    def line(path: JsonPath, offset: int) -> int:
        node: Any = compose()
        if node is None:
            return 1
        for step in path:
            node = _child(node, step) or node
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                node = item
                lines = item.value.count("\n") if isinstance(item, yaml.ScalarNode) else 0
                if offset < max(lines, 1):
                    break
                offset -= lines
        return int(node.start_mark.line) + 1

    return line


def _compose(text: str) -> Any:
    """JSON is YAML but for some rare escapes, and YAML's parser notes lines."""
    try:
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return None


def _child(node: Any, step: str | int) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None
